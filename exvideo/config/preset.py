"""The preset itself, and what its sections must agree on."""

import os
from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, model_validator

from exvideo.clips.windows import stride_for
from exvideo.config.base_folder import frame_unit_of, known_folder
from exvideo.config.evaluation import EvaluationConfig, FrameSize
from exvideo.config.limits import LimitsConfig, PricesConfig
from exvideo.config.retraining import RetrainingConfig
from exvideo.config.sections import (
    ClipsConfig,
    ClipShape,
    EmbeddedSource,
    LatentsConfig,
    ModelConfig,
    Section,
    Source,
    StorageConfig,
    TrackingConfig,
)
from exvideo.config.training import TrainingConfig
from exvideo.errors import InputError


class Preset(Section):
    """One typed configuration for the whole road."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=64)]
    """The folder below the data root that everything is written to."""
    storage: StorageConfig
    """Where everything is written."""
    source: Source
    """Where the videos come from."""
    clips: ClipsConfig
    """How videos become clips."""
    model: ModelConfig
    """The base model and its extension."""
    latents: LatentsConfig
    """How clips become latents."""
    training: TrainingConfig
    """The post-tuning job."""
    evaluation: EvaluationConfig
    """What is generated and measured."""
    tracking: TrackingConfig
    """MLflow."""
    retraining: RetrainingConfig = RetrainingConfig()
    """When the road is walked again by itself, and what a new model must reach."""
    limits: LimitsConfig = LimitsConfig()
    """What a training may use."""
    prices: PricesConfig = PricesConfig()
    """What an hour costs."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        faults = [*_size_faults(self), *_split_faults(self), *_length_faults(self)]
        faults += _limit_faults(self)
        if faults:
            raise ValueError("\n  ".join(faults))
        return self


def _size_faults(preset: Preset) -> Iterator[str]:
    folder = known_folder(preset.model.base)
    if folder is None:
        return  # only the hub knows: the first stage that downloads the base checks it
    try:
        unit = frame_unit_of(folder)
    except InputError as error:
        yield f"model.base.path: {error}"
        return
    main, *buckets = preset.clips.shapes
    named: list[tuple[str, ClipShape | FrameSize]] = [("clips", main)]
    named += [(f"clips.buckets[{place}]", it) for place, it in enumerate(buckets)]
    sizes = preset.evaluation.resolutions
    named += [(f"evaluation.resolutions[{place}]", it) for place, it in enumerate(sizes)]
    for section, shape in named:
        for name in ("height", "width"):
            size = getattr(shape, name)
            if size % unit:
                lower = size // unit * unit
                near = f"{lower} or {lower + unit}" if lower else f"{unit}"
                yield (
                    f"{section}.{name} ({size}) must be a multiple of {unit}, which the base model "
                    f"{preset.model.base.path} divides by: take {near}"
                )


def _split_faults(preset: Preset) -> Iterator[str]:
    lacking = {0.0: "evaluate", 1.0: "train on"}.get(preset.clips.held_out_videos)
    if lacking:
        yield (
            f"clips.held_out_videos ({preset.clips.held_out_videos:g}) leaves no clip to "
            f"{lacking}: take a share such as 0.1"
        )


def _length_faults(preset: Preset) -> Iterator[str]:
    source, clips = preset.source, preset.clips
    if preset.evaluation.grid_frames > clips.num_frames:
        yield (
            f"evaluation.grid_frames ({preset.evaluation.grid_frames}) exceeds clips.num_frames "
            f"({clips.num_frames})"
        )
    sharing = preset.training.frame_ranks
    for place, shape in enumerate(clips.shapes):
        if sharing > 1 and (shape.num_frames % sharing or shape.num_frames // sharing < 2):
            where = f"clips.buckets[{place - 1}].num_frames" if place else "clips.num_frames"
            yield (
                f"{where} ({shape.num_frames}) must be a multiple of training.frame_ranks "
                f"({sharing}), which share them, and give each two frames or more"
            )
    if not isinstance(source, EmbeddedSource) or not source.rendered_clips:
        return
    stride = stride_for(clips.assumed_fps or source.fps, clips.fps)
    reach = (clips.num_frames - 1) * stride + 1
    if source.rendered_frames < reach:
        yield (
            f"source.rendered_frames ({source.rendered_frames}) is too short for a clip: "
            f"clips.num_frames and clips.fps ask for {reach} frames"
        )
    if source.height < clips.height or source.width < clips.width:
        yield (
            f"source.height and width ({source.height}x{source.width}) are below clips.height and "
            f"width ({clips.height}x{clips.width}): no rendered clip would be large enough"
        )


def _limit_faults(preset: Preset) -> Iterator[str]:
    if preset.limits.cost is not None and not (preset.prices.gpu_hour or preset.prices.cpu_hour):
        yield (
            f"limits.cost ({preset.limits.cost:g}) needs a price: set prices.gpu_hour or "
            "prices.cpu_hour"
        )


def data_root(preset: Preset) -> str:
    """The folder or URL below which this preset's stages write."""
    return preset.storage.root or os.environ.get("EXVIDEO_HOME") or "outputs"
