"""The generated clips: every phase of the training, from the same first frames and seeds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from exvideo.config import EvaluationConfig
from exvideo.progress import Progress

if TYPE_CHECKING:
    from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import (
        StableVideoDiffusionPipeline,
    )

    from exvideo.generation import Sampling


@dataclass(frozen=True)
class Phase:
    """A moment of the training."""

    name: str
    step: int
    extension: Path | None
    """Its trained tensors; None is the extension as it starts."""


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
    from exvideo.generation import GenerationError, image_to_video

    missing = [sample for sample in wanted if not sample.path.exists()]
    done, steps = len(wanted) - len(missing), config.sampling_steps

    def tell(step: int, _total: int = 0) -> None:
        progress.update(done * steps + step, len(wanted) * steps, "sampling steps")

    tell(0)
    loaded, pipeline = None, None
    for sample in missing:
        if pipeline is None or loaded != sample.phase:
            progress.doing(f"loading the model as of step {sample.phase.step}")
            loaded, pipeline = sample.phase, load_pipeline(sample.phase)
        height, width = sample.first_frame.image.shape[:2]
        try:
            frames = image_to_video(
                pipeline,
                sample.first_frame.image,
                num_frames=num_frames,
                height=height,
                width=width,
                sampling=sampling_of(config, sample.seed),
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
