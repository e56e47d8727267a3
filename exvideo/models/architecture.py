"""What `extend` needs to know of a video model's architecture, and what a model says of itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from exvideo.models.identity_conv import ConvKind

Install = Callable[[Any, torch.Tensor, ConvKind], None]
"""Give a base model its tables and convolutions: (model, native position of each row, kind)."""


@dataclass(frozen=True)
class Architecture:
    """The paper's rules for one class of models; regular expressions match whole tensor names."""

    model: type
    install: Install
    native_frames: Callable[[Any], int]
    """The length that a base was trained on, from its configuration where it says so."""
    added: str
    """Tensors that the extension adds."""
    trained: str
    """The base's own tensors that are trained with them."""
    lora_targets: str
    """Linear layers that get low-rank updates where those are trained instead."""
    default_lora_rank: int | None = None
    length_keys: tuple[str, ...] = ("num_frames",)
    """Entries of the model's configuration that hold its length."""


_KNOWN: list[Architecture] = []


def register(architecture: Architecture) -> Architecture:
    """Let `extend` know of it: each architecture's module does so itself."""
    _KNOWN.append(architecture)
    return architecture


def architecture_of(model: nn.Module) -> Architecture:
    """The rules for the model's class."""
    for architecture in _KNOWN:
        if isinstance(model, architecture.model):
            return architecture
    known = ", ".join(architecture.model.__name__ for architecture in _KNOWN)
    raise TypeError(f"There is no extension for {type(model).__name__}, only for {known}.")


def is_extended(model: nn.Module) -> bool:
    """Whether `extend` has been called on the model."""
    return "extension" in config_of(model)


def extension_structure(model: nn.Module) -> dict[str, Any]:
    """The arguments of `extend`, but for the length, that make an extension like this one."""
    if not is_extended(model):
        raise ValueError(
            f"The {type(model).__name__} is not extended: call exvideo.models.extend first."
        )
    return dict(config_of(model)["extension"])


def config_of(model: Any) -> dict[str, Any]:
    """The model's configuration, in which its extension is noted."""
    return dict(model.config)
