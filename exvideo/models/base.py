"""Base models: their parts, as the configuration names them, and their identity."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLTemporalDecoder,
    EulerDiscreteScheduler,
    StableVideoDiffusionPipeline,
    UNetSpatioTemporalConditionModel,
)
from safetensors import SafetensorError
from torch import nn
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from exvideo.config import BaseModelConfig, RandomBase
from exvideo.config.base_folder import UNET_CONFIG, single_file
from exvideo.config.base_weights import BaseModelError, base_id, folder
from exvideo.models.single_file import load_single_file


def load_unet(
    base: BaseModelConfig, dtype: torch.dtype = torch.float32
) -> UNetSpatioTemporalConditionModel:
    """The base's U-Net, on the CPU, with `base_id` in its configuration."""
    _refuse_extended(folder(base) / UNET_CONFIG)
    unet = _load(base, "unet", UNetSpatioTemporalConditionModel, dtype)
    unet.register_to_config(base_id=base_id(base))
    return unet


def load_vae(
    base: BaseModelConfig, dtype: torch.dtype = torch.float32
) -> AutoencoderKLTemporalDecoder:
    """The base's VAE, on the CPU."""
    return _load(base, "vae", AutoencoderKLTemporalDecoder, dtype)


def load_image_encoder(
    base: BaseModelConfig, dtype: torch.dtype = torch.float32
) -> tuple[CLIPVisionModelWithProjection, CLIPImageProcessor]:
    """The base's CLIP image encoder, on the CPU, and the processor that prepares its input."""
    encoder = _load(base, "image_encoder", CLIPVisionModelWithProjection, dtype)
    processor = CLIPImageProcessor.from_pretrained(folder(base) / "feature_extractor")
    return encoder, processor


def load_pipeline(
    base: BaseModelConfig,
    unet: UNetSpatioTemporalConditionModel | None = None,
    dtype: torch.dtype = torch.float32,
) -> StableVideoDiffusionPipeline:
    """diffusers' pipeline of the base's parts, with `unet` in place of the base's own if given."""
    image_encoder, feature_extractor = load_image_encoder(base, dtype)
    return StableVideoDiffusionPipeline(
        vae=load_vae(base, dtype),
        image_encoder=image_encoder,
        unet=load_unet(base, dtype) if unet is None else unet,
        scheduler=EulerDiscreteScheduler.from_pretrained(folder(base), subfolder="scheduler"),
        feature_extractor=feature_extractor,
    )


def _refuse_extended(config: Path) -> None:
    # diffusers would load it as the base's class and drop the extension with a warning.
    if "extension" in json.loads(config.read_text()):
        raise BaseModelError(
            f"{config.parent.parent} is an extended pipeline, not a base: load it with "
            "StableVideoDiffusionPipeline.from_pretrained after importing exvideo.models."
        )


def _load(base: BaseModelConfig, part: str, cls: Any, dtype: torch.dtype) -> Any:
    local = folder(base)
    if not (local / part / "config.json").is_file():
        raise BaseModelError(f"{local} has no {part}/config.json.")
    if isinstance(base, RandomBase):
        return _random(cls, local / part, base.seed, dtype)
    if file := single_file(base):
        return _from_single_file(cls, local / part, file, dtype)
    try:
        return cls.from_pretrained(
            local / part, variant=base.variant, use_safetensors=True, dtype=dtype
        )
    except OSError as error:
        raise BaseModelError(f"{local / part} can't be loaded: {error}") from error


def _random(cls: Any, path: Path, seed: int, dtype: torch.dtype) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = _from_config(cls, path)
    # The plain method: diffusers' own warns of casts even where it has nothing to keep in fp32.
    return nn.Module.to(model, dtype).eval()


def _from_single_file(cls: Any, path: Path, file: Path, dtype: torch.dtype) -> Any:
    with torch.device("meta"):
        model = _from_config(cls, path)
    config = json.loads((path / "config.json").read_text())
    try:
        load_single_file(model, file, path.name, config)
    except (ValueError, SafetensorError) as error:
        raise BaseModelError(f"{file} can't be loaded: {error}") from error
    return nn.Module.to(model, dtype).eval()


def _from_config(cls: Any, path: Path) -> nn.Module:
    if cls is CLIPVisionModelWithProjection:
        return cls(CLIPVisionConfig.from_pretrained(path))
    return cls.from_config(cls.load_config(path))
