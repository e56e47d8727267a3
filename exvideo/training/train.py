"""The post-tuning loop: every rank runs this; the first one writes what others read."""

import json
import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch
from upath import UPath

from exvideo.config import TrainingConfig
from exvideo.errors import InputError
from exvideo.latents.dataset import LatentClips
from exvideo.latents.manifest import read_manifest
from exvideo.models import (
    ExtensionMetadata,
    checkpoint_activations,
    configure_attention,
    extend,
    extension_parameters,
    extension_state,
    load_unet,
    save_extension,
)
from exvideo.models.base import folder
from exvideo.models.extension_file import PUBLISHED_SIGMA
from exvideo.models.frame_parallel import GroupRanks, share_frames
from exvideo.progress import Progress
from exvideo.training.budget import step_flops
from exvideo.training.checkpoints import CheckpointWriter, newest_checkpoint
from exvideo.training.distributed import Ranks, frame_group, join_ranks
from exvideo.training.engine import deepspeed_config, start_engine
from exvideo.training.gpus import peak_tflops
from exvideo.training.job import TrainingJob
from exvideo.training.metrics import MetricsLog, Row
from exvideo.training.non_finite import first_non_finite, non_finite_inputs
from exvideo.training.objective import LEVELS, Batch, level_of, level_sigmas, v_loss
from exvideo.training.partitions import Engine, compute_with, gathered, whole_tensors
from exvideo.training.rank_progress import STEPS, RankProgress
from exvideo.training.released_recipe import released_loss
from exvideo.training.samples import training_batches
from exvideo.training.train_state import Position, TrainState
from exvideo.training.validation import Interrupted, validation_loss

INTERRUPTED = 128 + signal.SIGTERM
"""Exit code of a rank that was asked to stop, wrote a checkpoint and can be continued."""

MAX_SKIPPED_IN_A_ROW = 5
"""One bad batch is skipped; so many mean that the weights are beyond repair."""

Stop = Callable[[], bool]


def run_rank(job: TrainingJob) -> int:
    """One rank's whole life; returns its exit code, `INTERRUPTED` where it was asked to stop."""
    with join_ranks(job.training.frame_ranks) as ranks:
        progress = RankProgress(job.standing, writes=ranks.first)
        progress.doing("loading the base model and extending it")
        clips, held_out = load_clips(job)
        unet = load_extended_unet(job)
        if ranks.per_clip > 1:
            share_frames(unet, GroupRanks(frame_group(ranks)))
        progress.doing("starting DeepSpeed")
        trainer = Trainer(job, ranks, unet, clips, held_out, progress)
        return 0 if trainer.run() else INTERRUPTED


def load_clips(job: TrainingJob) -> tuple[LatentClips, LatentClips]:
    """The clips to train on and those held out."""
    path = UPath(job.latents)
    manifest = read_manifest(path)
    frames = manifest.shapes.latents[0]
    if frames != job.num_frames:
        raise InputError(f"{path} has clips of {frames} frames, the job asks for {job.num_frames}")
    clips = LatentClips(path.parent, manifest, "train")
    held_out = LatentClips(path.parent, manifest, "held_out")
    if not len(clips) or not len(held_out):
        raise InputError(
            f"{path} has {len(clips)} clips to train on and {len(held_out)} held out to validate "
            "on: change clips.held_out_videos, or add videos"
        )
    return clips, held_out


def load_extended_unet(job: TrainingJob) -> torch.nn.Module:
    """The base in float32, extended, its attention and activations as the job asks."""
    # NaN gradients are reported of cuDNN's attention (pytorch #196678, cudnn-frontend #1072);
    # without it, torch takes its flash kernel in half precision.
    torch.backends.cuda.enable_cudnn_sdp(False)
    unet: Any = load_unet(job.model.base)
    extend(unet, job.num_frames, **job.model.extension())
    configure_attention(unet, job.training.attention)
    checkpoint_activations(unet, job.training.activation_checkpointing)
    return unet.train()


class Trainer:
    """A rank's engine and all that moves with its steps."""

    def __init__(
        self,
        job: TrainingJob,
        ranks: Ranks,
        unet: torch.nn.Module,
        clips: LatentClips,
        held_out: LatentClips,
        progress: Progress,
    ) -> None:
        job.folder.mkdir(parents=True, exist_ok=True)
        self.job = job
        self.config: TrainingConfig = job.training
        self.ranks = ranks
        self.clips = clips
        self.held_out = held_out
        self.progress = progress
        self._loss = released_loss if self.config.recipe == "released" else v_loss
        self.engine: Engine = start_engine(unet, self.config)
        if ranks.first:
            document = deepspeed_config(self.config)
            job.engine_config.write_text(json.dumps(document, indent=2))
        self.state = TrainState(self.engine, self.config.ema_decay)
        self.checkpoints = CheckpointWriter(job.checkpoints, ranks, self.config.keep_checkpoints)
        progress.doing("looking for a checkpoint")
        checkpoint = newest_checkpoint(job.checkpoints, ranks, progress.say)
        if checkpoint is not None:
            checkpoint.restore(self.state)
        if self.position.step > self.config.steps:
            raise InputError(
                f"this training stands at step {self.position.step} already, training.steps asks "
                f"for {self.config.steps}: ask for at least as many, or move {job.folder} away to "
                "train anew"
            )
        self._saved = self.position.step if checkpoint is not None else None
        self.log = MetricsLog(job.metrics, self.position.step, writes=ranks.first)
        self._durations: list[float] = []
        self._waited = 0.0
        self._tflops = self._counted_flops() / 1e12
        self._non_finite: str | None = None
        on_gpu = ranks.device.type == "cuda"
        peak = peak_tflops(torch.cuda.get_device_name(ranks.device)) if on_gpu else None
        self._peak = peak or math.nan

    def _counted_flops(self) -> float:
        frames, _, height, width = self.clips[0]["latents"].shape
        base = folder(self.job.model.base)
        return step_flops(base, self.job.model, self.config, (frames, height, width))

    @property
    def position(self) -> Position:
        return self.state.position

    def run(self) -> bool:
        """Train; True at the end, False after a stop by SIGTERM or SIGINT, with a checkpoint."""
        first = self.position.step
        with (
            closing(training_batches(self.clips, self.config, self.ranks, first)) as batches,
            stop_requests() as stop,
        ):
            try:
                self._export_middle()
                self._validate(stop)
                while self.position.step < self.config.steps:
                    stopping = self._train_step(batches, stop)
                    self.progress.update(self.position.step, self.config.steps, STEPS)
                    self._record(stopping)
                    self._validate(stop)
            except Interrupted:
                self._save()
                self.checkpoints.wait()
                return False
        self._export(self.job.extension)
        if self.ranks.first:
            self._describe()
        self.checkpoints.wait()
        return True

    def _train_step(self, batches: Iterator[Batch], stop: Stop) -> bool:
        """One update of the weights; whether any rank was asked to stop."""
        started = time.monotonic()
        position = self.position
        self._non_finite = None
        rate = learning_rate(self.config, position.updates)
        for group in self.engine.basic_optimizer.param_groups:
            group["lr"] = rate
        sums = torch.zeros(1 + 2 * LEVELS, device=self.ranks.device)
        for _ in range(self.config.accumulate):
            asked = time.monotonic()
            batch = next(batches)
            self._waited += time.monotonic() - asked
            with self._watched(batch):
                losses = self._loss(self.engine, batch)
                self.engine.backward(losses.mean())
            self.engine.step()
            sums += _summed(losses.detach(), level_of(batch.sigma, self.config.sigma))
        position.step += 1
        stopping, loss, *by_level = self.ranks.total(stop(), *sums.tolist())
        # DeepSpeed skips an update whose gradients are not finite on any rank.
        if self.engine.was_step_applied():
            self.state.ema.update()
            position.skipped_in_a_row = 0
            # Each of the ranks that share a clip has the loss of its own frames.
            position.losses.append(loss / (self.config.batch_size * self.ranks.per_clip))
            add(position.level_losses, by_level[:LEVELS])
            add(position.level_samples, by_level[LEVELS:])
        else:
            position.skipped += 1
            position.skipped_in_a_row += 1
        self._durations.append(time.monotonic() - started)
        return bool(stopping)

    @contextmanager
    def _watched(self, batch: Batch) -> Iterator[None]:
        """Look at every layer where the next bad step would be one too many."""
        if self.position.skipped_in_a_row < MAX_SKIPPED_IN_A_ROW - 1:
            yield
            return
        with first_non_finite(self.engine.module) as found:
            yield
        self._non_finite = self._non_finite or non_finite_inputs(batch) or found.place

    def _record(self, stopping: bool) -> None:
        """All that is written after a step: rows, the middle snapshot, checkpoints."""
        step, last = self.position.step, self.position.step == self.config.steps
        if self.position.skipped_in_a_row >= MAX_SKIPPED_IN_A_ROW:
            raise InputError(
                f"the gradients of {MAX_SKIPPED_IN_A_ROW} steps in a row, up to step {step}, were "
                f"not finite; first of all {self._non_finite or 'on another rank'}: lower "
                f"training.learning_rate ({self.config.learning_rate:g}), or look for bad values "
                f"in {self.job.latents}"
            )
        if step % self.config.log_every == 0 or last:
            self.log.write(self._row())
            self.position.forget_losses()
            self._durations.clear()
            self._waited = 0.0
        self._export_middle()
        if stopping:
            raise Interrupted
        if step % self.config.checkpoint_every == 0 or last:
            self._save()

    def _row(self) -> Row:
        seconds = mean(self._durations)
        figures = {
            "loss": mean(self.position.losses),
            "learning_rate": learning_rate(self.config, max(self.position.updates - 1, 0)),
            "grad_norm": float(self.engine.get_global_grad_norm() or math.nan),
            **self._level_losses(),
            "seconds_per_step": seconds,
            "waiting_for_data": self._waited / sum(self._durations),
            "tflops_per_second": self._tflops / seconds,
            "share_of_peak": self._tflops / seconds / self._peak,
            "clips_per_second": self.config.batch_size / seconds,
            "memory_gb": memory_gb(self.ranks.device),
            "skipped_steps": float(self.position.skipped),
        }
        finite = {name: value for name, value in figures.items() if math.isfinite(value)}
        return {"step": self.position.step, **finite}

    def _level_losses(self) -> dict[str, float]:
        sums, samples = self.position.level_losses, self.position.level_samples
        return {
            f"loss_sigma_{sigma:.2g}": total / count if count else math.nan
            for sigma, total, count in zip(
                level_sigmas(self.config.sigma), sums, samples, strict=True
            )
        }

    def _validate(self, stop: Stop) -> None:
        """Score the average, which is what is published, and the weights themselves beside it."""
        step = self.position.step
        due = step % self.config.validate_every == 0 or step == self.config.steps
        if not due:
            return
        # The first rank says it to all: a network's file system may show others an older file.
        known = self.ranks.first and self.log.has(step, "validation_loss")
        if self.ranks.total(known)[0]:
            return
        compute_with(self.engine, self.state.ema.slices)
        figures = self._validation_loss(stop)
        compute_with(self.engine, self.state.weights)
        raw = self._validation_loss(stop) if self.position.updates else figures
        if not math.isfinite(figures["validation_loss"]):
            raise InputError(
                f"the validation loss at step {step} is not finite: look for bad values in the "
                f"weights of {self.job.model.base.path}, or in the held-out clips of "
                f"{self.job.latents}"
            )
        if math.isfinite(raw["validation_loss"]):
            figures["validation_loss_raw"] = raw["validation_loss"]
        self.log.write({"step": step, **figures})

    def _validation_loss(self, stop: Stop) -> dict[str, float]:
        return validation_loss(
            self.engine, self.held_out, self.config, self.ranks, stop, self.progress
        )

    def _save(self) -> None:
        if self._saved != self.position.step:
            self.progress.doing(f"copying the checkpoint of step {self.position.step}")
            self.checkpoints.save(self.state)
            self._saved = self.position.step

    def _export_middle(self) -> None:
        """After half the steps. A training that goes on beyond its first end has had its middle."""
        if self.position.step == (self.config.steps + 1) // 2:
            self._export(self.job.middle)

    def _export(self, path: Path) -> None:
        """Write the averaged extension; every rank must come along."""
        self.progress.doing("writing the averaged extension")
        unet = self.engine.module
        averaged: dict[str, torch.Tensor] = {}
        for name, whole in whole_tensors(self.engine, self.state.ema.slices):
            if self.ranks.first:
                averaged[name] = whole.cpu()
        with gathered(list(extension_parameters(unet).values())):
            if self.ranks.first:
                # Of the extension's tensors a few may be frozen; the file has all of them.
                state = {name: it.float() for name, it in extension_state(unet).items()}
                save_extension(unet, path, self._metadata(), state=state | averaged)
        torch.distributed.barrier()

    def _describe(self) -> None:
        description = {
            "base": self.job.model.base.model_dump(),
            "base_id": self.engine.module.config.base_id,
            "num_frames": self.job.num_frames,
            "extension": self.job.extension.name,
            "load": "exvideo.models: load_extension(load_unet(base), extension)",
        }
        self.job.description.write_text(json.dumps(description, indent=2))

    def _metadata(self) -> ExtensionMetadata:
        config = self.engine.module.config
        released = self.config.recipe == "released"
        return ExtensionMetadata(
            base_id=config.base_id,
            num_frames=config.num_frames,
            native_frames=config.extension["native_frames"],
            scaling_factor=self.clips.scaling_factor,
            sigma=PUBLISHED_SIGMA if released else self.config.sigma.model_dump(),
            step=self.position.step,
            data_digest=self.job.data_digest,
        )


def learning_rate(config: TrainingConfig, updates: int) -> float:
    """After so many updates: a linear warm-up, then constant or half a cosine."""
    warm = min(1.0, (updates + 1) / max(config.warmup_steps, 1))
    if config.schedule == "constant":
        return config.learning_rate * warm
    done = max(0, updates - config.warmup_steps) / (config.steps - config.warmup_steps)
    return config.learning_rate * warm * (1 + math.cos(math.pi * done)) / 2


def add(sums: list[float], more: Sequence[float]) -> None:
    """Add to each sum in place."""
    sums[:] = [one + other for one, other in zip(sums, more, strict=True)]


def _summed(losses: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """The samples' total loss, their loss by level and their number by level: [1 + 2 LEVELS]."""
    by_level = losses.new_zeros(2, LEVELS)
    by_level[0].index_add_(0, levels, losses)
    by_level[1].index_add_(0, levels, torch.ones_like(losses))
    return torch.cat([losses.sum()[None], by_level.flatten()])


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def memory_gb(device: torch.device) -> float:
    """The GPU's peak so far; without one, what the process holds now."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return psutil.Process().memory_info().rss / 1e9


@contextmanager
def stop_requests() -> Iterator[Stop]:
    """SIGTERM and SIGINT only set a flag, so that a step is never torn."""
    received: list[int] = []
    stops = (signal.SIGTERM, signal.SIGINT)
    before = {it: signal.signal(it, lambda number, _: received.append(number)) for it in stops}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
