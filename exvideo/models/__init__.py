"""Models: base models, their extension to longer clips, and its checkpoints."""

from exvideo.models.activation_checkpointing import checkpoint_activations
from exvideo.models.attention import configure_attention
from exvideo.models.extend import extend
from exvideo.models.trainable import (
    extension_parameters,
    extension_state,
    freeze_base,
    trainable_parameters,
)

__all__ = [
    "checkpoint_activations",
    "configure_attention",
    "extend",
    "extension_parameters",
    "extension_state",
    "freeze_base",
    "trainable_parameters",
]
