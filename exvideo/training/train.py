"""The post-tuning loop: every rank runs this; the first one writes what others read."""

import json
import math
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import torch
from diffusers.models.modeling_utils import ModelMixin

from exvideo.config import TrainingConfig
from exvideo.config.base_weights import folder
from exvideo.errors import InputError
from exvideo.latents.dataset import LatentClips
from exvideo.models import checkpoint_activations
from exvideo.models.compilation import compile_blocks
from exvideo.models.frame_parallel import GroupRanks, share_frames
from exvideo.precision import device_name
from exvideo.progress import Progress
from exvideo.training.budget import plan_for_shapes
from exvideo.training.checkpoints import CheckpointWriter, newest_checkpoint
from exvideo.training.distributed import Ranks, frame_group, join_ranks
from exvideo.training.engine import deepspeed_config, start_engine
from exvideo.training.export import describe, export_average, metadata_of
from exvideo.training.job import TrainingJob
from exvideo.training.load import load_clips, load_extended_unet
from exvideo.training.metrics import MetricsLog, Row
from exvideo.training.non_finite import first_non_finite, non_finite_inputs
from exvideo.training.objective import LEVELS, Batch, level_of, level_sigmas, v_loss
from exvideo.training.partitions import Engine, Slice, compute_with
from exvideo.training.rank_progress import STEPS, RankProgress
from exvideo.training.released_recipe import released_loss
from exvideo.training.sample_clips import write_sample_clips
from exvideo.training.samples import latent_shapes, training_batches
from exvideo.training.schedule import learning_rate
from exvideo.training.shared_folder import check_shared
from exvideo.training.step_figures import StepFigures
from exvideo.training.stop_requests import Stop, stop_requests
from exvideo.training.train_state import Position, TrainState
from exvideo.training.validation import Interrupted, validation_loss

INTERRUPTED = 128 + signal.SIGTERM
"""Exit code of a rank that was asked to stop, wrote a checkpoint and can be continued."""

MAX_SKIPPED_IN_A_ROW = 5
"""One bad batch is skipped; so many mean that the weights are beyond repair."""


def run_rank(job: TrainingJob) -> int:
    """One rank's whole life; returns its exit code, `INTERRUPTED` where it was asked to stop."""
    with join_ranks(job.training.frame_ranks) as ranks:
        if job.training.nodes is not None:
            check_shared(job.folder, ranks)
        progress = RankProgress(job.standing, ranks.first, device_name(ranks.device))
        progress.doing("loading the base model and extending it")
        clips, held_out = load_clips(job)
        unet = load_extended_unet(job)
        if ranks.per_clip > 1:
            share_frames(unet, GroupRanks(frame_group(ranks)))
        progress.doing("starting DeepSpeed")
        trainer = Trainer(job, ranks, unet, clips, held_out, progress)
        return 0 if trainer.run() else INTERRUPTED


class Trainer:
    """A rank's engine and all that moves with its steps."""

    def __init__(
        self,
        job: TrainingJob,
        ranks: Ranks,
        unet: ModelMixin,
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
        plan = plan_for_shapes(folder(job.model.base), job.model, self.config, latent_shapes(clips))
        checkpoint_activations(unet, self.config.activation_checkpointing, plan.keep)
        if self.config.compile:
            compile_blocks(unet)
        self.engine: Engine = start_engine(unet, self.config)
        if ranks.first:
            document = deepspeed_config(self.config)
            job.engine_config.write_text(json.dumps(document, indent=2))
        self.state = TrainState(self.engine, self.config)
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
        half = (self.config.steps + 1) // 2
        # One that was stopped and is to be shorter now may have passed it without writing it.
        lacking = ranks.total(ranks.first and not job.middle.exists())[0]
        self._middle = max(half, self.position.step) if lacking else half
        self._saved = self.position.step if checkpoint is not None else None
        self.log = MetricsLog(job.metrics, self.position.step, writes=ranks.first)
        self.figures = StepFigures(plan.flops, self.config.batch_size, ranks.device)
        self._non_finite: str | None = None

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
                self._export_on_the_way()
                self._validate(stop)
                while self.position.step < self.config.steps:
                    with self.figures.step():
                        stopping = self._train_step(batches, stop)
                    self.progress.update(self.position.step, self.config.steps, STEPS)
                    self._record(stopping)
                    self._validate(stop)
            except Interrupted:
                self._save()
                self.checkpoints.wait()
                return False
        self._export(self.job.extension)
        for name, path in self.job.averages.items():
            self._export(path, name)
        if self.ranks.first:
            describe(self.job, self.engine)
        self.checkpoints.wait()
        return True

    def _train_step(self, batches: Iterator[Batch], stop: Stop) -> bool:
        """One update of the weights; whether any rank was asked to stop."""
        position = self.position
        self._non_finite = None
        rate = learning_rate(self.config, position.updates)
        for group in self.engine.basic_optimizer.param_groups:
            group["lr"] = rate
        sums = torch.zeros(1 + 2 * LEVELS, device=self.ranks.device)
        for _ in range(self.config.accumulate):
            with self.figures.waiting():
                batch = next(batches)
            with self._watched(batch):
                losses = self._loss(self.engine, batch)
                self.engine.backward(losses.mean())
            self.engine.step()
            sums += _summed(losses.detach(), level_of(batch.sigma, self.config.sigma))
        position.step += 1
        stopping, loss, *by_level = self.ranks.total(stop(), *sums.tolist())
        # DeepSpeed skips an update whose gradients are not finite on any rank.
        if self.engine.was_step_applied():
            for average in self.state.averages.values():
                average.update(position.updates)
            position.skipped_in_a_row = 0
            # Each of the ranks that share a clip has the loss of its own frames.
            position.losses.append(loss / (self.config.batch_size * self.ranks.per_clip))
            add(position.level_losses, by_level[:LEVELS])
            add(position.level_samples, by_level[LEVELS:])
        else:
            position.skipped += 1
            position.skipped_in_a_row += 1
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
        self._export_on_the_way()
        if stopping:
            raise Interrupted
        if step % self.config.checkpoint_every == 0 or last:
            self._save()

    def _row(self) -> Row:
        figures = {
            "loss": mean(self.position.losses),
            "learning_rate": learning_rate(self.config, max(self.position.updates - 1, 0)),
            "grad_norm": float(self.engine.get_global_grad_norm() or math.nan),
            **self._level_losses(),
            **self.figures.taken(),
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
        figures = self._validation_loss(self.state.averages["ema"].slices, stop)
        if not math.isfinite(figures["validation_loss"]):
            raise InputError(
                f"the validation loss at step {step} is not finite: look for bad values in the "
                f"weights of {self.job.model.base.path}, or in the held-out clips of "
                f"{self.job.latents}"
            )
        if self.config.sample_clips:
            self.progress.doing("drawing sample clips")
            write_sample_clips(self.engine, self.job, self.held_out, self.ranks, step, stop)
        others = {name: self.state.averages[name].slices for name in self.job.averages}
        # The weights themselves last, with which the U-Net goes on.
        for name, weights in {**others, "raw": self.state.weights}.items():
            # Before the first update all are the same.
            scored = self._validation_loss(weights, stop) if self.position.updates else figures
            if math.isfinite(scored["validation_loss"]):
                figures[f"validation_loss_{name}"] = scored["validation_loss"]
        self.log.write({"step": step, **figures})

    def _validation_loss(self, weights: list[Slice], stop: Stop) -> dict[str, float]:
        compute_with(self.engine, weights)
        return validation_loss(
            self.engine, self.held_out, self.config, self.ranks, stop, self.progress
        )

    def _save(self) -> None:
        if self._saved != self.position.step:
            self.progress.doing(f"copying the checkpoint of step {self.position.step}")
            self.checkpoints.save(self.state)
            self._saved = self.position.step

    def _export_on_the_way(self) -> None:
        """The published average after half the steps, and snapshots of the power-function ones.

        A training that goes on beyond its first end has had its middle.
        """
        step, every = self.position.step, self.config.snapshot_every
        if step == self._middle:
            self._export(self.job.middle)
        if every is not None and self.position.updates and step % every == 0:
            for name in self.state.averages:
                if name.startswith("power-"):
                    self._export(self.job.snapshot(name, step), name, torch.float16)

    def _export(self, path: Path, name: str = "ema", dtype: torch.dtype = torch.float32) -> None:
        self.progress.doing("writing the averaged extension")
        step, factor = self.position.step, self.clips.scaling_factor
        metadata = metadata_of(self.job, self.engine, factor, step)
        average = self.state.averages[name].slices
        export_average(self.engine, average, path, metadata, self.ranks, dtype)


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
