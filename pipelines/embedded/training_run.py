"""What the three trainers share: a resumable state, averaged weights, a schedule and a log.

Randomness is drawn anew from (seed, step), so a run that was cut off goes on exactly as it would
have, and no generator's state is saved.
"""

import argparse
import json
import math
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from exvideo.precision import native_bfloat16

T = TypeVar("T")


def autocast() -> torch.autocast:
    """bfloat16 where the processor computes it natively, else float32."""
    return torch.autocast("cpu", torch.bfloat16, enabled=native_bfloat16(torch.device("cpu")))


def arguments(description: str, *, steps: int, learning_rate: float) -> argparse.ArgumentParser:
    """The options of every trainer; `steps` and `learning_rate` are the defaults."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--run", type=Path, required=True, help="folder of state, log and export")
    parser.add_argument("--steps", type=int, default=steps, help="length of the cosine schedule")
    parser.add_argument("--learning-rate", type=float, default=learning_rate)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-minutes", type=float, default=4.0)
    return parser


class TrainingRun:
    """A model in training: AdamW, cosine schedule, exponential moving average of the weights."""

    def __init__(self, model: nn.Module, options: argparse.Namespace, *, ema_decay: float) -> None:
        self.model = model
        self.options = options
        self.ema_decay = ema_decay
        self.trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.AdamW(
            self.trained.values(), lr=options.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4
        )
        self.ema = {name: p.detach().clone() for name, p in self.trained.items()}
        self.step = 0
        self.stopping = False
        options.run.mkdir(parents=True, exist_ok=True)
        self.state_file = options.run / "state.pt"
        if self.state_file.exists():
            self._load()

    def train(
        self,
        batch: Callable[[int, np.random.Generator], T],
        loss: Callable[[T], torch.Tensor],
        measure: Callable[[], dict[str, float]],
        measure_every: int,
    ) -> None:
        """Run to the last step; `measure` sees the averaged weights, its figures go to the log.

        SIGTERM saves the state and ends the program.
        """
        signal.signal(signal.SIGTERM, self._stop)
        saved = time.monotonic()
        running: list[float] = []
        while self.step < self.options.steps:
            started = time.monotonic()
            seed = (self.options.seed, self.step)
            torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
            for group in self.optimizer.param_groups:
                group["lr"] = self.learning_rate()
            value = loss(batch(self.step, np.random.default_rng(seed)))
            self.optimizer.zero_grad(set_to_none=True)
            value.backward()
            norm = nn.utils.clip_grad_norm_(self.trained.values(), 1.0)
            if not torch.isfinite(norm):
                raise FloatingPointError(f"gradient norm is {norm} at step {self.step}")
            self.optimizer.step()
            self.step += 1
            self._average()
            running.append(float(value.detach()))
            if self.step % 50 == 0:
                self.log(loss=float(np.mean(running)), seconds=time.monotonic() - started)
                running.clear()
            if self.step % measure_every == 0 or self.step == self.options.steps:
                with self.averaged_weights():
                    self.log(**measure())
            if self.stopping:
                self.save()
                raise SystemExit(f"stopped at step {self.step}; the same command goes on from here")
            if time.monotonic() - saved > 60 * self.options.save_minutes:
                self.save()
                saved = time.monotonic()
        self.save()

    def learning_rate(self) -> float:
        warm = min(1.0, (self.step + 1) / 200)
        done = self.step / self.options.steps
        return float(self.options.learning_rate) * warm * (0.01 + 0.99 * _half_cosine(done))

    def averaged_weights(self) -> "_Swapped":
        """Context in which the model holds its averaged weights and is in eval mode."""
        return _Swapped(self)

    def log(self, **figures: float) -> None:
        line = {"step": self.step, **{k: round(v, 5) for k, v in figures.items()}}
        with (self.options.run / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)

    def save(self) -> None:
        state = {
            "step": self.step,
            "model": {name: p.detach() for name, p in self.trained.items()},
            "ema": self.ema,
            "optimizer": self.optimizer.state_dict(),
        }
        unfinished = self.state_file.with_suffix(".part")
        torch.save(state, unfinished)
        unfinished.replace(self.state_file)

    def _stop(self, *_: object) -> None:
        self.stopping = True

    def _load(self) -> None:
        state = torch.load(self.state_file, weights_only=True)
        self.step = state["step"]
        self.optimizer.load_state_dict(state["optimizer"])
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(state["model"][name])
                self.ema[name].copy_(state["ema"][name])

    @torch.no_grad()
    def _average(self) -> None:
        # The ramp lets the average leave the random initialisation behind.
        decay = min(self.ema_decay, (1 + self.step) / (10 + self.step))
        for name, parameter in self.trained.items():
            self.ema[name].lerp_(parameter, 1.0 - decay)


class _Swapped:
    def __init__(self, run: TrainingRun) -> None:
        self.run = run

    def __enter__(self) -> nn.Module:
        self._exchange()
        return self.run.model.eval()

    def __exit__(self, *_: object) -> None:
        self._exchange()
        self.run.model.train()

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, parameter in self.run.trained.items():
            kept = parameter.clone()
            parameter.copy_(self.run.ema[name])
            self.run.ema[name].copy_(kept)


def _half_cosine(done: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))
