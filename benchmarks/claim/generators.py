"""What generates a clip from a first frame: an extended base, or a baseline on the base itself."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from exvideo.config import Preset
from exvideo.evaluation.samples import sampling_of
from exvideo.generation import image_to_video
from exvideo.generation.load import extended_pipeline
from exvideo.generation.long_video import BASELINES
from exvideo.generation.unet_calls import in_bfloat16, wrap
from exvideo.models import configure_attention, load_pipeline, load_unet
from exvideo.precision import Computed

Generate = Callable[[np.ndarray], np.ndarray]


def extended(preset: Preset, extension: Path | None, precision: Computed) -> Generate:
    """The base extended; without an extension's file as it is before training."""
    frames = preset.clips.num_frames
    pipeline = extended_pipeline(preset.model, frames, extension, precision=precision)
    return partial(image_to_video, pipeline, **_options(preset))


def baseline(preset: Preset, name: str, precision: Computed) -> Generate:
    """One of `exvideo.generation.long_video` on the base that the preset extends."""
    unet: Any = load_unet(preset.model.base)
    configure_attention(unet)
    if precision == "bfloat16":
        wrap(unet, in_bfloat16)
    pipeline = load_pipeline(preset.model.base, unet)
    make: Any = BASELINES[name]
    return partial(make, pipeline, **_options(preset))


def _options(preset: Preset) -> dict[str, Any]:
    return {
        "num_frames": preset.clips.num_frames,
        "height": preset.clips.height,
        "width": preset.clips.width,
        "sampling": sampling_of(preset.evaluation),
    }
