"""Pipelines that are ready to generate: a base and its extension on the best device."""

from pathlib import Path
from typing import Literal

import torch
from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import (
    StableVideoDiffusionPipeline,
)

from exvideo.config import BaseModelConfig
from exvideo.generation.unet_calls import in_bfloat16, wrap
from exvideo.models import configure_attention, extend, load_extension, load_pipeline, load_unet
from exvideo.models.positions import TableInit


def best_device() -> torch.device:
    """The first GPU, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def extended_pipeline(
    base: BaseModelConfig,
    num_frames: int,
    extension: Path | None = None,
    *,
    table_init: TableInit = "ping_pong",
    precision: Literal["float32", "bfloat16"] = "float32",
) -> StableVideoDiffusionPipeline:
    """`base` extended to `num_frames`, with the trained tensors in `extension` if given.

    Weights and latents are float32; `precision` is what the U-Net computes in.
    """
    unet = extend(load_unet(base), num_frames, table_init=table_init)
    if extension is not None:
        load_extension(unet, extension)
    configure_attention(unet)
    pipeline = load_pipeline(base, unet).to(best_device())
    if precision == "bfloat16":
        wrap(unet, in_bfloat16)
    return pipeline
