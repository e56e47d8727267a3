"""Which tensors make up an extension, and which of them are trained."""

from typing import Any

import torch
from diffusers.models.unets.unet_spatio_temporal_condition import (
    UNetSpatioTemporalConditionModel,
)
from torch import nn

from exvideo.models.svd import NOTES, ExtendedUNet, extend_svd, transformers

NEW_MODULES = ("positional_embedding", "positional_conv")
TRAINED_MODULES = ("time_pos_embed", "temporal_transformer_blocks")


def extension_parameters(unet: nn.Module) -> dict[str, nn.Parameter]:
    """Every tensor that the extension adds or replaces, by its name in the U-Net.

    For SVD these are the original's 528 tensors: of each of the 16 transformers the table, the
    convolution, the position MLP and the whole temporal block. Temporal residual blocks, mixing
    factors and output projections stay the base's. With LoRA its factors take the place of the
    position MLP and the temporal block.
    """
    if not isinstance(unet, ExtendedUNet):
        raise ValueError("The U-Net is not extended: call exvideo.models.extend first.")
    has_lora = unet.config["extension"]["lora_rank"] is not None
    parameters = {}
    for name, transformer in transformers(unet).items():
        for part in NEW_MODULES + TRAINED_MODULES:
            for key, parameter in transformer.get_submodule(part).named_parameters():
                if part in NEW_MODULES or not has_lora or ".lora_" in key:
                    parameters[f"{name}.{part}.{key}"] = parameter
    return parameters


def freeze_base(unet: nn.Module) -> None:
    """The paper's rule: freeze all but the extension."""
    unet.requires_grad_(False)
    for parameter in extension_parameters(unet).values():
        parameter.requires_grad_(True)


def trainable_parameters(unet: nn.Module) -> dict[str, nn.Parameter]:
    """The tensors that an optimizer should get, by name, in the model's order."""
    return {
        name: parameter for name, parameter in unet.named_parameters() if parameter.requires_grad
    }


def extension_shapes(
    unet: UNetSpatioTemporalConditionModel, num_frames: int, **structure: Any
) -> dict[str, tuple[int, ...]]:
    """Names and shapes that the extension's tensors would have, from a twin without memory.

    Args:
        unet: a base or an extended U-Net; it is left alone.
        num_frames: N.
        structure: the other arguments of `extend`.
    """
    config = {key: value for key, value in unet.config.items() if key not in ("extension", *NOTES)}
    with torch.device("meta"):
        twin = UNetSpatioTemporalConditionModel.from_config(config)
        extend_svd(twin, num_frames, **structure)
    return {name: tuple(p.shape) for name, p in extension_parameters(twin).items()}


def extension_state(unet: nn.Module) -> dict[str, torch.Tensor]:
    """The extension's tensors by name, detached, as they are (no copy)."""
    return {name: parameter.detach() for name, parameter in extension_parameters(unet).items()}
