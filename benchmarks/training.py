"""What a step of post-tuning costs: at full size by a dry run, at a reduced one by a real one.

python -m benchmarks.training [--rounds 2] [--steps 12] [--long 1200]

The reduced U-Net is SVD's with a fifth of its widths; 32 frames of 32x32 latents. Times are of
processor time on one thread, each way's best of several rounds in which all take turns. Peaks are
what the CPU's allocator had given out at most in a step, beyond weights, by torch's profiler.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from diffusers import UNetSpatioTemporalConditionModel
from torch.profiler import ProfilerActivity, profile

from exvideo.config import load_preset
from exvideo.config.base_folder import SVD_XT, UNET_CONFIG
from exvideo.models import (
    checkpoint_activations,
    configure_attention,
    extend,
    trainable_parameters,
)
from exvideo.progress import Silent
from exvideo.training.budget import step_budget
from exvideo.training.distributed import join_ranks
from exvideo.training.job import TrainingJob
from exvideo.training.launcher import free_port
from exvideo.training.load import load_extended_unet
from exvideo.training.objective import v_loss
from exvideo.training.samples import training_batches
from exvideo.training.stop_requests import stop_requests
from exvideo.training.train import Trainer

FRAMES, LATENT = 32, 32
GIB, MIB = 2**30, 2**20
Step = Callable[[], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=12, help="of the loop's overhead")
    parser.add_argument("--long", type=int, default=1200, help="steps that memory is watched over")
    options = parser.parse_args()
    torch.set_num_threads(1)
    full_size()
    reduced(options.rounds)
    loop(options.steps, options.long)


def full_size() -> None:
    print("svd_128f, one of 8 GPUs, bfloat16     TFLOP   kept GiB   added GiB   peak GiB")
    for policy in ("none", "block", "part"):
        it = step_budget(load_preset("svd_128f", {"training.activation_checkpointing": policy}))
        print(
            f"  activation_checkpointing {policy:<10}{it.step_flops / 1e12:>6.0f}"
            f"{it.kept / GIB:>11.1f}{it.working / GIB:>12.1f}{it.peak / GIB:>11.1f}"
        )


def reduced(rounds: int) -> None:
    ways: dict[str, Step] = {
        "diffusers, temporal blocks trained": _step(_diffusers(recompute=False)),
        "diffusers, its own checkpointing": _step(_diffusers(recompute=True)),
        **{f"extended, {it}": _step(_extended(it)) for it in ("none", "block", "part")},
    }
    peaks = {name: _peak(step) for name, step in ways.items()}
    seconds = {name: [] for name in ways}
    for _ in range(rounds):
        for name, step in ways.items():
            seconds[name].append(_seconds(step))
    plain = min(seconds["diffusers, temporal blocks trained"])
    print("\nreduced SVD, float32                     s a step    ratio   peak MiB")
    for name in ways:
        best = min(seconds[name])
        print(f"  {name:<36}{best:>11.1f}{best / plain:>9.2f}{peaks[name] / MIB:>11.0f}")


def loop(steps: int, long: int) -> None:
    """The loop's own time a step, against forward, backward and update alone; what a validation
    leaves behind, and what many steps do, of clips of 4 frames.
    """
    with tempfile.TemporaryDirectory() as folder, join_ranks() as ranks, stop_requests() as stop:
        clips = _MadeClips()
        job = _tiny_job(Path(folder))
        trainer = Trainer(job, ranks, load_extended_unet(job), clips, clips, Silent())  # type: ignore[arg-type]
        batches = training_batches(clips, job.training, ranks, 0)
        one = next(batches)

        def bare() -> None:
            trainer.engine.backward(v_loss(trainer.engine, one).mean())
            trainer.engine.step()

        def whole() -> None:
            with trainer.figures.step():
                trainer._train_step(batches, stop)
            trainer._record(stopping=False)

        times: dict[str, list[float]] = {"bare": [], "loop": [], "after a validation": []}
        for _ in range(steps):
            times["bare"].append(_seconds(bare))
            times["loop"].append(_seconds(whole))
        trainer._validation_loss(trainer.state.averages["ema"].slices, stop)
        trainer._validation_loss(trainer.state.weights, stop)
        for _ in range(steps):
            times["after a validation"].append(_seconds(whole))
        batches.close()
        trainer.clips = short = _MadeClips(frames=4)
        batches = training_batches(short, job.training, ranks, 0)
        memory = []
        for _ in range(long):
            whole()
            memory.append(psutil.Process().memory_info().rss / MIB)
        batches.close()
    best = {name: min(them) for name, them in times.items()}
    print(f"\ntiny preset, float32, of {steps} steps each the fastest")
    print(f"  the loop's step to a bare one              {best['loop'] / best['bare']:.3f}")
    after = best["after a validation"] / best["loop"]
    print(f"  a step after a validation to one before    {after:.3f}")
    settled = memory[long // 4 :]
    grown = np.polyfit(np.arange(len(settled)), settled, 1)[0] * 1000
    print(f"  memory over {len(settled)} steps, MiB in 1,000        {grown:+.2f}")


def _tiny_job(folder: Path) -> TrainingJob:
    preset = load_preset("tiny")
    changes = {"precision": "float32", "steps": 10_000, "validate_every": 10_000}
    return TrainingJob(
        training=preset.training.model_copy(update=changes),
        model=preset.model,
        num_frames=FRAMES,
        latents="none",
        data_digest="none",
        folder=folder,
    )


def _seconds(step: Step) -> float:
    """Of processor time."""
    began = time.process_time()
    step()
    return time.process_time() - began


def _config() -> dict[str, Any]:
    config = json.loads((SVD_XT / UNET_CONFIG).read_text())
    return config | {
        "block_out_channels": [64, 128, 256, 256],
        "num_attention_heads": [1, 2, 4, 4],
        "cross_attention_dim": 204,
    }


def _diffusers(recompute: bool) -> Any:
    unet: Any = UNetSpatioTemporalConditionModel.from_config(_config()).train()
    unet.requires_grad_(False)
    for name, parameter in unet.named_parameters():
        parameter.requires_grad_("temporal_transformer_blocks" in name)
    if recompute:
        unet.enable_gradient_checkpointing()
    return unet


def _extended(policy: Any) -> Any:
    unet: Any = UNetSpatioTemporalConditionModel.from_config(_config()).train()
    extend(unet, FRAMES)
    configure_attention(unet)
    checkpoint_activations(unet, policy)
    return unet


def _step(unet: Any) -> Step:
    for parameter in trainable_parameters(unet).values():
        parameter.register_post_accumulate_grad_hook(lambda it: setattr(it, "grad", None))
    sample = torch.randn(1, FRAMES, 8, LATENT, LATENT)
    context = torch.randn(1, 1, unet.config.cross_attention_dim)
    conditions = (torch.randn(1), context, torch.tensor([[6.0, 127.0, 0.02]]))
    return lambda: unet(sample, *conditions).sample.square().mean().backward()


def _peak(step: Step) -> int:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    events = profiler.profiler.kineto_results.events()  # type: ignore[union-attr]
    now = most = 0
    for _, moved in sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]"):
        now += moved
        most = max(most, now)
    return most


class _MadeClips:
    """Clips of noise, of the tiny preset's size."""

    scaling_factor = 0.18215
    buckets = (np.arange(4),)

    def __init__(self, frames: int = FRAMES) -> None:
        self.frames = frames

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(index)
        return {
            "latents": torch.randn(self.frames, 4, 8, 8, generator=generator),
            "cond_latents": torch.randn(4, 4, 8, 8, generator=generator),
            "noise_aug_strengths": torch.full((4,), 0.02),
            "image_embeds": torch.randn(self._embedding, generator=generator),
            "fps": torch.tensor(24.0),
            "motion_bucket_id": torch.tensor(100),
        }

    @property
    def _embedding(self) -> int:
        base = Path(load_preset("tiny").model.base.path)
        config = Path(__file__).parent.parent / base / UNET_CONFIG
        return json.loads(config.read_text())["cross_attention_dim"]


if __name__ == "__main__":
    for name, value in {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1}.items():
        os.environ[name] = str(value)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    main()
