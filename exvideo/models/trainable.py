"""Which tensors make up an extension, and which of them are trained."""

import re
from collections.abc import Collection
from typing import Literal, get_args

import torch
from torch import nn

from exvideo.models.architecture import architecture_of, extension_structure

Part = Literal["table", "convolution", "temporal_blocks"]
"""Of an extension: what it adds, and what it takes over from the base."""

PARTS: tuple[Part, ...] = get_args(Part)


def extension_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Every tensor that the extension adds or replaces, by its name in the model.

    For SVD these are the original's 528 tensors: of each of the 16 transformers the table, the
    convolution, the position MLP and the whole temporal block. Temporal residual blocks, mixing
    factors and output projections stay the base's. LoRA's factors, where there are any, take the
    place of the base's own tensors.
    """
    architecture = architecture_of(model)
    has_lora = extension_structure(model)["lora_rank"] is not None
    replaced = r".*\.lora_[AB]\..*" if has_lora else architecture.trained
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if re.fullmatch(architecture.added, name) or re.fullmatch(replaced, name)
    }


def extension_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """The extension's tensors by name, detached, as they are (no copy)."""
    return {name: parameter.detach() for name, parameter in extension_parameters(model).items()}


def freeze_base(model: nn.Module, parts: Collection[Part] = PARTS) -> None:
    """The paper's rule: freeze all but the extension; of it, train `parts` alone.

    `temporal_blocks` are all tensors that were the base's, of SVD its position MLPs, too, or
    LoRA's factors in their place. Raises ValueError where the model has nothing of these parts.
    """
    model.requires_grad_(False)
    chosen = [it for name, it in extension_parameters(model).items() if _part_of(name) in parts]
    if not chosen:
        raise ValueError(f"{type(model).__name__}'s extension has no {' and no '.join(parts)}.")
    for parameter in chosen:
        parameter.requires_grad_(True)


def _part_of(name: str) -> Part:
    if ".positional_embedding." in name:
        return "table"
    return "convolution" if ".positional_conv." in name else "temporal_blocks"


def trainable_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The tensors that an optimizer should get, by name, in the model's order."""
    return {
        name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad
    }
