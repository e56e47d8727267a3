"""Which samples a rank sees in which step, and how they become batches.

The order is a pure function of the seed and the position: no loader has a state to save, and any
number of ranks shares the same steps.
"""

import signal
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, Protocol

import numpy as np
from torch.utils.data import DataLoader, Dataset

from exvideo.config import TrainingConfig
from exvideo.training.distributed import Ranks
from exvideo.training.objective import Batch, Draw, draw, make_batch, noise_quantile
from exvideo.training.released_recipe import released_clip, released_sigma

Clip = Mapping[str, Any]
"""As `exvideo.latents.LatentClips` gives it."""


class Clips(Protocol):
    """Clips as latents, such as `exvideo.latents.LatentClips`."""

    scaling_factor: float

    @property
    def buckets(self) -> Sequence[np.ndarray]:
        """Places of the clips of one shape, for each shape."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Clip: ...


def latent_shapes(clips: Clips) -> dict[tuple[int, int, int], int]:
    """Frames, height and width of the latents, and how many clips have them."""
    shapes = {}
    for bucket in clips.buckets:
        frames, _, height, width = clips[int(bucket[0])]["latents"].shape
        shapes[frames, height, width] = len(bucket)
    return shapes


class Samples(Dataset[tuple[Clip, Draw]]):
    """A training's endless sequence: sample `index` is a clip and its chance, both functions of
    the seed and the index.
    """

    def __init__(self, clips: Clips, config: TrainingConfig) -> None:
        self._clips = clips
        self._config = config

    def __getitem__(self, index: int) -> tuple[Clip, Draw]:
        config = self._config
        buckets = self._clips.buckets
        clip = self._clips[sample_clip(config.seed, config.batch_size, index, buckets)]
        if config.recipe == "released":
            clip = released_clip(clip)
        drawn = draw(
            config.seed,
            index,
            clip["latents"].shape,
            len(clip["noise_aug_strengths"]),
            config.sigma,
            config.condition_dropout,
        )
        if config.recipe == "released":
            drawn = replace(drawn, sigma=released_sigma(noise_quantile(config.seed, index)))
        return clip, drawn


def sample_clip(
    seed: int, batch_size: int, sample_index: int, buckets: Sequence[np.ndarray]
) -> int:
    """The clip that a training's `sample_index`-th sample shows.

    The samples of a step are of one bucket, each of which goes through its own epochs.
    """
    step, place = divmod(sample_index, batch_size)
    bucket, turn = bucket_of(step, [len(it) for it in buckets])
    clips = buckets[bucket]
    return int(clips[clip_index(seed, turn * batch_size + place, len(clips))])


def bucket_of(step: int, sizes: Sequence[int]) -> tuple[int, int]:
    """Which bucket a step takes its clips from, and how many steps before it did.

    Buckets take turns as evenly as their sizes allow (Bresenham's line, for each bucket against
    all that follow): as many steps as there are clips give each bucket as many as it has clips.
    """
    left = sum(sizes)
    for bucket, size in enumerate(sizes):
        before = step * size // left
        if (step + 1) * size // left > before:
            return bucket, before
        step -= before
        left -= size
    raise ValueError("there is no clip in any bucket")


@lru_cache(maxsize=16)
def epoch_order(num_clips: int, seed: int, epoch: int) -> np.ndarray:
    """The seeded permutation of `range(num_clips)` for one epoch, int64 [num_clips], read-only."""
    # NumPy promises this stream of bits for ever; it makes no such promise for `permutation`.
    bits = np.random.PCG64(np.random.SeedSequence((seed, epoch))).random_raw(num_clips)
    order = np.argsort(bits, kind="stable")
    order.flags.writeable = False
    return order


def clip_index(seed: int, sample_index: int, num_clips: int) -> int:
    """The clip that the `sample_index`-th sample of a training shows, epoch after epoch."""
    if sample_index < 0 or num_clips < 1:
        raise ValueError(f"there is no sample {sample_index} of {num_clips} clips")
    epoch, position = divmod(sample_index, num_clips)
    return int(epoch_order(num_clips, seed, epoch)[position])


def sample_indices(config: TrainingConfig, ranks: Ranks, first_step: int) -> Iterator[list[int]]:
    """This rank's share of every micro-batch from `first_step` on.

    The samples of a step are consecutive, whatever number of ranks shares them.
    """
    first, last = first_step * config.batch_size, config.steps * config.batch_size
    for start in range(first, last, config.micro_batch_size * ranks.clip_groups):
        mine = start + ranks.clip_group * config.micro_batch_size
        yield list(range(mine, mine + config.micro_batch_size))


def training_batches(
    clips: Clips, config: TrainingConfig, ranks: Ranks, first_step: int
) -> Generator[Batch]:
    """This rank's micro-batches from `first_step` on, on its device, of its own frames.

    Closing the generator ends the loader's workers.
    """
    loader = DataLoader(
        Samples(clips, config),
        batch_sampler=_Listed(sample_indices(config, ranks, first_step)),
        collate_fn=partial(_collate, scaling_factor=clips.scaling_factor),
        num_workers=config.loader_workers,
        worker_init_fn=_outlive_stops,
        pin_memory=ranks.device.type == "cuda",
    )
    for batch in loader:
        yield batch.frames(ranks.own_frames(batch.latents.shape[1])).to(ranks.device)


def _collate(samples: list[tuple[Clip, Draw]], scaling_factor: float) -> Batch:
    clips, draws = zip(*samples, strict=True)
    return make_batch(clips, draws, scaling_factor)


def _outlive_stops(_worker: int) -> None:
    # A stop reaches every process at once. The rank still needs its loader until the step ends,
    # and torch would turn a worker's death into an error in the middle of the checkpoint.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, signal.SIG_IGN)


class _Listed:
    """A batch sampler over any iterator; the loader asks no more of one."""

    def __init__(self, batches: Iterator[list[int]]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[list[int]]:
        return self._batches
