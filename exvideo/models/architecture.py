"""What `extend` needs to know of a video model's architecture."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

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
