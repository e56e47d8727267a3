"""Pipelines that are ready to generate: a base and its extension on the best device."""

from pathlib import Path
from typing import Any

import torch
from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import (
    StableVideoDiffusionPipeline,
)
from pydantic import BaseModel

from exvideo.config import BaseModelConfig, ModelConfig
from exvideo.errors import InputError
from exvideo.generation.unet_calls import in_bfloat16, wrap
from exvideo.models import configure_attention, extend, load_extension, load_pipeline, load_unet
from exvideo.precision import Computed


def best_device() -> torch.device:
    """The first GPU, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def extended_pipeline(
    model: ModelConfig,
    num_frames: int,
    extension: Path | None = None,
    *,
    precision: Computed = "float32",
) -> StableVideoDiffusionPipeline:
    """The base extended to `num_frames`, with the trained tensors in `extension` if given.

    Weights and latents are float32; `precision` is what the U-Net computes in. float32 is meant:
    cuDNN's default would cut a convolution's factors to TF32's ten bits.
    """
    torch.backends.cudnn.allow_tf32 = False
    unet: Any = load_unet(model.base)
    extend(unet, num_frames, **model.extension())
    if extension is not None:
        load_extension(unet, extension)
    configure_attention(unet)
    if precision == "bfloat16":
        wrap(unet, in_bfloat16)
    pipeline: Any = load_pipeline(model.base, unet)
    return pipeline.to(best_device())


class ModelDescription(BaseModel):
    """What a post-tuned model's folder says of itself in model.json, as far as loading needs it."""

    base: BaseModelConfig
    extension: str


def model_description(folder: Path) -> ModelDescription | None:
    """A post-tuned model's description; None for what is none. Raises `InputError`."""
    path = folder / "model.json"
    if not path.is_file():
        return None
    try:
        return ModelDescription.model_validate_json(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path} describes no post-tuned model: {error}") from error


def default_dtype() -> torch.dtype:
    """Of a loaded model's U-Net and image encoder: float16 on a GPU, float32 on the CPU."""
    return torch.float16 if best_device().type == "cuda" else torch.float32


def load_base(
    base: BaseModelConfig, dtype: torch.dtype | None = None
) -> StableVideoDiffusionPipeline:
    """The pipeline of a base as it is, as `load_model` loads an extended one."""
    return _ready(load_pipeline(base, dtype=dtype or default_dtype()))


def load_model(
    model: str | Path, base: BaseModelConfig | None = None, dtype: torch.dtype | None = None
) -> StableVideoDiffusionPipeline:
    """The pipeline of a model in any of its forms, ready to generate.

    Args:
        model: the folder of a post-tuned model; an extension's safetensors file, with its `base`;
            or a whole pipeline in diffusers' layout, a folder or a hub repository.
        base: what an extension's file extends.
        dtype: of the U-Net and the image encoder, by default `default_dtype`. The VAE stays in
            float32, where it neither overflows nor flickers.

    Raises:
        InputError: if there is no model, or an extension's base is not named.
    """
    pipeline: Any
    path = Path(model).expanduser()
    dtype = dtype or default_dtype()
    if described := model_description(path):
        base = base or described.base
        path = path / described.extension
    if path.suffix == ".safetensors":
        if base is None:
            raise InputError(f"{path} is an extension: name the base that it extends")
        unet: Any = load_unet(base, dtype)
        load_extension(unet, path)
        pipeline = load_pipeline(base, unet, dtype)
    elif path.is_dir() and not (path / "model_index.json").is_file():
        raise InputError(f"{path} is no model: it has neither model.json nor model_index.json")
    else:
        pipeline = _whole_pipeline(str(model), dtype)
    return _ready(pipeline)


def _ready(pipeline: Any) -> StableVideoDiffusionPipeline:
    configure_attention(pipeline.unet)
    if pipeline.vae.dtype != torch.float32:
        pipeline.vae.to(torch.float32)
    return pipeline.to(best_device())


def _whole_pipeline(model: str, dtype: torch.dtype) -> StableVideoDiffusionPipeline:
    try:
        return StableVideoDiffusionPipeline.from_pretrained(model, dtype=dtype)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{model} is neither a model's folder nor a repository that can be loaded: {error}"
        ) from error
