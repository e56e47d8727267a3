"""The architectures that can be extended, and what a model says of its own extension."""

from typing import Any

from torch import nn

from exvideo.models.animatediff import ANIMATEDIFF
from exvideo.models.architecture import Architecture
from exvideo.models.cogvideox import COGVIDEOX
from exvideo.models.modelscope import MODELSCOPE
from exvideo.models.svd import SVD

ARCHITECTURES = (SVD, ANIMATEDIFF, MODELSCOPE, COGVIDEOX)


def architecture_of(model: nn.Module) -> Architecture:
    """The rules for the model's class."""
    for architecture in ARCHITECTURES:
        if isinstance(model, architecture.model):
            return architecture
    known = ", ".join(architecture.model.__name__ for architecture in ARCHITECTURES)
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
