"""The validation loss: held-out clips at fixed noise and fixed noise levels."""

from collections.abc import Callable, Iterator

import torch

from exvideo.config import TrainingConfig
from exvideo.progress import Progress
from exvideo.training.distributed import Ranks
from exvideo.training.engine import Engine
from exvideo.training.objective import (
    LEVELS,
    Batch,
    Draw,
    draw,
    level_sigmas,
    make_batch,
    v_loss,
)
from exvideo.training.samples import Clip, Clips

NOISE_SEED = 0
"""Not the training's seed: losses of trainings that differ in it alone are of the same noise."""


class Interrupted(Exception):  # noqa: N818 (no fault: somebody asked)
    """Raised where the ranks agreed to stop."""


def validation_loss(
    engine: Engine,
    clips: Clips,
    config: TrainingConfig,
    ranks: Ranks,
    stop: Callable[[], bool],
    progress: Progress,
) -> dict[str, float]:
    """The mean loss, in all and for each noise level; every rank must ask.

    The same weights give the same figures at every step and in every run, whatever its seed.

    Raises `Interrupted` soon after `stop()` holds on any rank.
    """
    sums = torch.zeros(LEVELS, dtype=torch.float64)
    counts = torch.zeros(LEVELS, dtype=torch.float64)
    engine.eval()
    try:
        with torch.no_grad():
            for number, (batch, levels, weights) in enumerate(_batches(clips, config, ranks)):
                progress.update(number, _count(clips, config, ranks), "validation batches")
                own = batch.frames(ranks.own_frames(batch.latents.shape[1]))
                losses = v_loss(engine, own.to(ranks.device)).double().cpu()
                sums.index_add_(0, levels, losses * weights)
                counts.index_add_(0, levels, weights)
                if ranks.total(stop())[0]:
                    raise Interrupted
    finally:
        engine.train()
    totals = torch.tensor(ranks.total(*sums, *counts)).view(2, -1)
    means = (totals[0] / totals[1]).tolist()
    return {
        "validation_loss": sum(means) / len(means),
        **{
            f"validation_loss_sigma_{sigma:.2g}": loss
            for sigma, loss in zip(level_sigmas(config.sigma), means, strict=True)
        },
    }


def _batches(
    clips: Clips, config: TrainingConfig, ranks: Ranks
) -> Iterator[tuple[Batch, torch.Tensor, torch.Tensor]]:
    """This rank's batches, the noise level of each sample and its weight.

    Every rank gets as many, or ZeRO-3's gathering would wait for ever: the last ones may repeat
    a sample, with weight 0.
    """
    step = config.micro_batch_size * ranks.clip_groups
    for samples, start in _starts(clips, config, step):
        mine = range(start + ranks.clip_group, start + step, ranks.clip_groups)
        chosen = [samples[min(index, len(samples) - 1)] for index in mine]
        loaded = [clips[clip] for clip, _ in chosen]
        draws = [
            _fixed_draw(loaded_clip, clip, level, config)
            for loaded_clip, (clip, level) in zip(loaded, chosen, strict=True)
        ]
        yield (
            make_batch(loaded, draws, clips.scaling_factor),
            torch.tensor([level for _, level in chosen]),
            torch.tensor([float(index < len(samples)) for index in mine], dtype=torch.float64),
        )


def _starts(
    clips: Clips, config: TrainingConfig, step: int
) -> Iterator[tuple[list[tuple[int, int]], int]]:
    """Samples of one shape, as (clip, level), and where among them each `step` of them begins."""
    used = min(len(clips), config.validation_clips)
    chosen = [clip * len(clips) // used for clip in range(used)]
    for bucket in clips.buckets:
        held = set(bucket.tolist())
        samples = [(clip, level) for clip in chosen if clip in held for level in range(LEVELS)]
        for start in range(0, len(samples), step):
            yield samples, start


def _count(clips: Clips, config: TrainingConfig, ranks: Ranks) -> int:
    """Batches a rank."""
    return sum(1 for _ in _starts(clips, config, config.micro_batch_size * ranks.clip_groups))


def _fixed_draw(loaded: Clip, clip: int, level: int, config: TrainingConfig) -> Draw:
    sigma = level_sigmas(config.sigma)[level]
    shape = loaded["latents"].shape
    # Training's indices count up from zero and never come near these.
    noise = draw(NOISE_SEED, 2**63 + clip, shape, 1, config.sigma, 0.0).noise
    augmentation = clip % len(loaded["noise_aug_strengths"])
    return Draw(sigma, augmentation, drop_condition=False, noise=noise)
