"""The generated clips: every phase of a training, or every way to make long clips, from the same
first frames and seeds."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exvideo.config import EvaluationConfig
from exvideo.progress import Progress
from exvideo.receipt import digest_of

if TYPE_CHECKING:
    from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import (
        StableVideoDiffusionPipeline,
    )

    from exvideo.generation import Sampling


@dataclass(frozen=True)
class Phase:
    """A moment of the training, or another way to a long clip that is compared with it."""

    name: str
    step: int
    extension: Path | None
    """Its trained tensors; None is the extension as it starts."""
    way: str = "direct"
    """What its pipeline makes long clips by, of `exvideo.generation.BASELINES`."""


REAL = Phase("real", 0, None)
"""Not generated: the held-out clip itself, whose numbers are what generated ones can hope for."""


@dataclass(frozen=True)
class FirstFrame:
    """What a clip is generated from."""

    clip_id: str
    image: np.ndarray
    """uint8 [H, W, 3]."""


@dataclass(frozen=True)
class Sample:
    """One generated clip, on disk."""

    phase: Phase
    first_frame: FirstFrame
    seed: int
    path: Path

    def frames(self) -> np.ndarray:
        """uint8 [T, H, W, 3]."""
        return read_frames(self.path)


def samples(
    folder: Path,
    phases: Sequence[Phase],
    first_frames: Sequence[FirstFrame],
    seeds: Sequence[int],
) -> Iterator[Sample]:
    """Every sample that an evaluation consists of, made or not, phase by phase."""
    for phase in phases:
        for first_frame in first_frames:
            for seed in seeds:
                path = folder / f"{phase.name}-{first_frame.clip_id}-{seed}.npy"
                yield Sample(phase, first_frame, seed, path)


def keyed_samples(
    folder: Path,
    phases: Sequence[tuple[Phase, Any]],
    first_frames: Sequence[FirstFrame],
    seeds: Sequence[int],
) -> Iterator[Sample]:
    """As `samples`, for a folder that outlives its model and settings.

    Each phase comes with what its clips depend on, as JSON takes it. Their files are named by this
    and by what they start from, so that one is there only where it would be made the same.
    """
    for phase, settings in phases:
        for given in first_frames:
            image = np.ascontiguousarray(given.image)
            shown = [image.shape, hashlib.sha256(image.tobytes()).hexdigest()]
            for seed in seeds:
                key = digest_of([phase.way, settings, shown, seed])[:12]
                path = folder / f"{phase.name}-{given.clip_id}-{seed}-{key}.npy"
                yield Sample(phase, given, seed, path)


def generate_missing(
    wanted: Sequence[Sample],
    load_pipeline: Callable[[Phase], "StableVideoDiffusionPipeline"],
    num_frames: int,
    config: EvaluationConfig,
    progress: Progress,
) -> None:
    """Generate the samples that are not on disk yet; a run cut short goes on where it was.

    Args:
        load_pipeline: gives the pipeline at a phase; called once for each phase that misses any.
        num_frames: the extended length.

    Raises `GenerationError` where a model makes nothing usable, naming the sample.
    """
    # torch and diffusers are not needed to find that nothing is missing.
    from exvideo.generation import BASELINES, GenerationError, is_published

    missing = [sample for sample in wanted if not sample.path.exists()]
    done, steps = len(wanted) - len(missing), config.sampling_steps

    def tell(step: int, of: int) -> None:
        # Some ways take several samplings a clip.
        progress.update(done * steps + step * steps // of, len(wanted) * steps, "sampling steps")

    tell(0, steps)
    loaded, pipeline = None, None
    for sample in missing:
        if pipeline is None or loaded != sample.phase:
            progress.doing(f"loading the model: {sample.phase.name}, step {sample.phase.step}")
            loaded, pipeline = sample.phase, load_pipeline(sample.phase)
        height, width = sample.first_frame.image.shape[:2]
        sampling = sampling_of(config, sample.seed)
        try:
            frames = BASELINES[sample.phase.way](
                pipeline,
                sample.first_frame.image,
                num_frames,
                height=height,
                width=width,
                sampling=replace(sampling, published_weights=is_published(pipeline)),
                on_step=tell,
            )
        except GenerationError as error:
            raise GenerationError(
                f"{sample.phase.name} (step {sample.phase.step}), clip "
                f"{sample.first_frame.clip_id}, seed {sample.seed}: {error}"
            ) from error
        save_frames(sample.path, frames)
        done += 1


def sampling_of(config: EvaluationConfig, seed: int = 0) -> "Sampling":
    """What an evaluation asks of the sampler."""
    from exvideo.generation import Sampling

    return Sampling(
        steps=config.sampling_steps,
        guidance=(config.min_guidance_scale, config.max_guidance_scale),
        fps=config.fps,
        motion_bucket_id=config.motion_bucket_id,
        noise_aug_strength=config.noise_aug_strength,
        decode_chunk_size=config.decode_chunk_size,
        seed=seed,
    )


def read_frames(path: Path) -> np.ndarray:
    """What `save_frames` wrote."""
    return np.load(path, allow_pickle=False)


def save_frames(path: Path, frames: np.ndarray) -> None:
    """Write uint8 frames [T, H, W, 3] so that the file is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as stream:
        np.save(stream, frames)
    part.replace(path)
