"""One call that extends a video model, whatever its architecture."""

import inspect
from typing import Any, TypeVar

import torch
from torch import nn

from exvideo.models.architecture import (
    architecture_of,
    config_of,
    extension_structure,
    is_extended,
)
from exvideo.models.identity_conv import (
    ConvKind,
    FactorisedIdentityConv3d,
    IdentityConv3d,
    to_dense,
)
from exvideo.models.lora import add_lora, merge_lora
from exvideo.models.positions import PositionTable, TableInit, native_positions, resize_rows
from exvideo.models.trainable import extension_parameters, freeze_base

Model = TypeVar("Model", bound=nn.Module)


def extend(
    model: Model,
    num_frames: int,
    *,
    table_init: TableInit = "ping_pong",
    native_frames: int | None = None,
    conv: ConvKind = "dense",
    lora_rank: int | None = None,
) -> Model:
    """Extend `model` in place to clips of up to `num_frames` frames, and freeze its base.

    Before training, clips of up to `native_frames` frames come out as the base makes them.

    Args:
        model: a base: Stable Video Diffusion's U-Net, AnimateDiff's, ModelScope's, or CogVideoX's
            transformer. The same object is returned, and still is what it was, so that it runs
            wherever the base ran.
        num_frames: N, the rows of each trainable table (CogVideoX: frames of video, 4k + 1).
        table_init: the native positions that the rows start from; `ping_pong` is the original's.
        native_frames: the length that the base was trained on; its configuration's by default.
        conv: the identity convolution; `dense` is the original's, `factorised` has a ninth of
            its weights and `depthwise` next to none.
        lora_rank: train low-rank updates of the temporal attentions instead of whole temporal
            blocks.
    """
    architecture = architecture_of(model)
    if is_extended(model):
        raise ValueError(
            f"The model is already extended to {config_of(model)['num_frames']} frames: use resize."
        )
    if lora_rank is not None and lora_rank < 1:
        raise ValueError(f"lora_rank is {lora_rank}, expected at least 1 or None.")
    if native_frames is None:
        native_frames = architecture.native_frames(model)
    if lora_rank is None:
        lora_rank = architecture.default_lora_rank
    architecture.install(model, native_positions(num_frames, native_frames, table_init), conv)
    if lora_rank is not None:
        add_lora(model, lora_rank, architecture.lora_targets)
    structure = {
        "native_frames": native_frames,
        "table_init": table_init,
        "conv": conv,
        "lora_rank": lora_rank,
    }
    _note(model, dict.fromkeys(architecture.length_keys, num_frames) | {"extension": structure})
    freeze_base(model)
    return model


def resize(model: Model, num_frames: int) -> Model:
    """Cut down or continue a trained table in place, to train or generate at another length.

    Trained rows are kept; further rows continue the walk over them (`positions.resize_rows`).
    Make the optimizer afterwards: the tables are new parameters.
    """
    structure = extension_structure(model)
    for table in model.modules():
        if isinstance(table, PositionTable):
            old = table.embeddings
            rows = resize_rows(old.detach(), num_frames, structure["native_frames"])
            table.embeddings = nn.Parameter(rows, requires_grad=old.requires_grad)
    _note(model, dict.fromkeys(architecture_of(model).length_keys, num_frames))
    return model


def to_full_form(model: Model) -> Model:
    """Turn an efficient variant into the original's form in place; its outputs stay the same.

    Convolutions become dense and LoRA's updates are added to their weights, so that it can be
    saved in the published layout or trained on in full.
    """
    structure = extension_structure(model)
    if architecture_of(model).default_lora_rank is not None:
        raise TypeError(f"{type(model).__name__} is extended by LoRA alone and has no fuller form.")
    merge_lora(model)
    for name, module in list(model.named_modules()):
        if isinstance(module, IdentityConv3d | FactorisedIdentityConv3d):
            model.set_submodule(name, to_dense(module))
    _note(model, {"extension": {**structure, "conv": "dense", "lora_rank": None}})
    freeze_base(model)
    return model


def extension_shapes(
    model: nn.Module, num_frames: int, **structure: Any
) -> dict[str, tuple[int, ...]]:
    """Names and shapes that the extension's tensors would have, from a twin without memory.

    Args:
        model: a base or an extended model; it is left alone.
        num_frames: N.
        structure: the other arguments of `extend`.
    """
    base: Any = architecture_of(model).model
    expected = inspect.signature(base.__init__).parameters
    config = {key: value for key, value in config_of(model).items() if key in expected}
    with torch.device("meta"):
        twin = extend(base.from_config(config), num_frames, **structure)
    return {name: tuple(p.shape) for name, p in extension_parameters(twin).items()}


def _note(model: Any, entries: dict[str, Any]) -> None:
    model.register_to_config(**entries)
