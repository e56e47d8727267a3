"""An extension's checkpoint: one safetensors file with its tensors and where they come from."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from exvideo.errors import InputError
from exvideo.models.architecture import config_of, extension_structure, is_extended
from exvideo.models.diffsynth import temporal_block_numbers, to_diffsynth
from exvideo.models.extend import extend, extension_shapes
from exvideo.models.identity_conv import ConvKind
from exvideo.models.positions import TableInit
from exvideo.models.trainable import extension_state

Layout = Literal["exvideo", "diffsynth"]
TABLE = "positional_embedding.embeddings"
MAX_FRAMES = 100_000
"""A file that says more is damaged; its walk over the positions would take the memory."""
HEADER_KEY = "exvideo"
"""Of a single entry: safetensors writes several in any order, and files should be reproducible."""


class ExtensionFileError(InputError):
    """A file does not fit; the message names the file and every reason."""


class ExtensionMetadata(BaseModel):
    """What one needs to know to use or to continue an extension."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    base_id: str | None
    """Identity of the base's weights (`exvideo.models.base.base_id`); None if unknown."""
    num_frames: int = Field(ge=1, le=MAX_FRAMES)
    native_frames: int = Field(ge=1, le=MAX_FRAMES)
    scaling_factor: PositiveFloat
    """What latents were multiplied by in training: 0.18215 is SVD's own."""
    sigma: dict[str, Any]
    """The training's noise distribution."""
    step: int | None
    data_digest: str | None
    """Digest of the training data's manifest."""


class ExtensionStructure(BaseModel):
    """The arguments of `extend`, but for the length, that make an extension like a file's."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    native_frames: int = Field(ge=1, le=MAX_FRAMES)
    table_init: TableInit
    conv: ConvKind
    lora_rank: PositiveInt | None


PUBLISHED_STRUCTURE = ExtensionStructure(
    native_frames=25, table_init="ping_pong", conv="dense", lora_rank=None
)

PUBLISHED_SIGMA = {"schedule": "karras", "steps": 1000, "max": 700.0, "min": 0.002, "rho": 7.0}
"""The noise levels of the released training: equally often each of a sampler's schedule."""


def published_metadata(num_frames: int) -> ExtensionMetadata:
    """What is known of the published weights, whose file says nothing of itself.

    Their training scaled latents by SDXL's factor instead of SVD's.
    """
    return ExtensionMetadata(
        base_id=None,
        num_frames=num_frames,
        native_frames=25,
        scaling_factor=0.13025,
        sigma=PUBLISHED_SIGMA,
        step=None,
        data_digest=None,
    )


def save_extension(
    model: nn.Module,
    path: str | os.PathLike[str],
    metadata: ExtensionMetadata,
    layout: Layout = "exvideo",
    state: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write the extension's tensors to one safetensors file.

    Args:
        layout: `exvideo` names tensors as diffusers does; `diffsynth` as the published file does.
        state: tensors to write instead of the model's own, such as averages in fp32, by the
            names of `extension_parameters`.
    """
    state = dict(extension_state(model) if state is None else state)
    structure = extension_structure(model)
    _refuse_misfits(path, _shapes(state), extension_shapes(model, metadata.num_frames, **structure))
    if layout == "diffsynth":
        if structure["conv"] != "dense" or structure["lora_rank"] is not None:
            raise ValueError(
                "The published layout holds the full form: call exvideo.models.to_full_form."
            )
        numbers = temporal_block_numbers(model)
        state = {to_diffsynth(name, numbers): tensor for name, tensor in state.items()}
    elif layout != "exvideo":
        raise ValueError(f"layout is {layout!r}, expected 'exvideo' or 'diffsynth'.")
    header = {"metadata": metadata.model_dump(), "structure": structure}
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file(
            {name: tensor.cpu().contiguous() for name, tensor in state.items()},
            unfinished,
            metadata={HEADER_KEY: json.dumps(header)},
        )
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def load_extension(
    model: nn.Module,
    path: str | os.PathLike[str],
    base_id: str | None = None,
) -> ExtensionMetadata:
    """Load an extension over its base, by names and shapes, in either layout.

    A base is extended to the file's number of frames; a model that is extended already must have
    that number. Nothing is changed before everything fits.

    Args:
        model: the base or an extended model, in place; values are cast to its dtype and device.
        base_id: identity of the model's base, by default what `load_unet` recorded in it. Not
            compared where either side is unknown.

    Raises:
        ExtensionFileError: missing or unexpected tensors, wrong shapes, another base, another
            number of frames, or no safetensors file.
    """
    with _open(path) as file:
        names = _names(file)
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
        metadata, structure = _header(path, file.metadata(), shapes)
        num_frames = metadata.num_frames
        _refuse_other_base(path, metadata, base_id or config_of(model).get("base_id"))
        _refuse_other_structure(path, model, num_frames, structure)
        expected = extension_shapes(model, num_frames, **structure)
        in_file = {name: name for name in expected}
        if any(name.startswith("blocks.") for name in names):
            numbers = temporal_block_numbers(model)
            in_file = {name: to_diffsynth(name, numbers) for name in expected}
        _refuse_misfits(path, shapes, {in_file[name]: expected[name] for name in expected})
        if not is_extended(model):
            extend(model, num_frames, **structure)
        with torch.no_grad():
            for name, tensor in extension_state(model).items():
                tensor.copy_(file.get_tensor(in_file[name]))
    cast(Any, model).register_to_config(post_tuning=metadata.model_dump())
    return metadata


def read_metadata(path: str | os.PathLike[str]) -> ExtensionMetadata:
    """The metadata of an extension's file, without its tensors."""
    with _open(path) as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in _names(file)}
        return _header(path, file.metadata(), shapes)[0]


def _open(path: str | os.PathLike[str]) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise ExtensionFileError(f"{path} can't be read as a safetensors file: {error}") from error


def _names(file: Any) -> list[str]:
    return list(file.keys())


def _shapes(state: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _table_length(path: Any, shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    lengths = {shape[0] if shape else 0 for name, shape in shapes.items() if name.endswith(TABLE)}
    if 0 in lengths:
        raise ExtensionFileError(f"{path} has a table of no rows.")
    if len(lengths) > 1:
        raise ExtensionFileError(f"{path} has tables of several lengths: {sorted(lengths)}.")
    return lengths.pop() if lengths else None


def _header(
    path: Any, header: Mapping[str, str] | None, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[ExtensionMetadata, dict[str, Any]]:
    """The metadata, and the arguments of `extend` that the file's tensors belong to."""
    num_frames = _table_length(path, shapes)
    if not header or HEADER_KEY not in header:
        if num_frames is None:
            raise ExtensionFileError(f"{path} is no extension: it has no table of positions.")
        return published_metadata(num_frames), PUBLISHED_STRUCTURE.model_dump()
    try:
        content = json.loads(header[HEADER_KEY])
        metadata = ExtensionMetadata.model_validate(content["metadata"])
        structure = ExtensionStructure.model_validate(content["structure"]).model_dump()
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ExtensionFileError(f"{path} has a header that can't be read: {error}") from error
    if num_frames not in (None, metadata.num_frames):
        raise ExtensionFileError(
            f"{path} says that it has {metadata.num_frames} frames, its tables have {num_frames}."
        )
    return metadata, structure


def _refuse_other_structure(
    path: Any, model: nn.Module, num_frames: int, structure: Mapping[str, Any]
) -> None:
    if not is_extended(model):
        return
    own_frames, own = config_of(model)["num_frames"], extension_structure(model)
    if own_frames != num_frames:
        raise ExtensionFileError(
            f"{path} is an extension to {num_frames} frames, the model is extended to "
            f"{own_frames}: resize either (exvideo.models.resize)."
        )
    for key in ("conv", "lora_rank"):
        if own[key] != structure[key]:
            raise ExtensionFileError(
                f"{path} is an extension with {key}={structure[key]!r}, the model has "
                f"{key}={own[key]!r}: load the file over a base instead."
            )


def _refuse_other_base(path: Any, metadata: ExtensionMetadata, base_id: str | None) -> None:
    if metadata.base_id and base_id and metadata.base_id != base_id:
        raise ExtensionFileError(
            f"{path} extends the base {metadata.base_id}, the model's base is {base_id}. If both "
            f"are the same weights, pass base_id={metadata.base_id!r}."
        )


def _refuse_misfits(
    path: Any, found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]
) -> None:
    faults = [f"missing: {name}" for name in expected if name not in found]
    faults += [f"unexpected: {name}" for name in found if name not in expected]
    faults += [
        f"shape of {name}: {list(found[name])} instead of {list(expected[name])}"
        for name in expected
        if name in found and tuple(found[name]) != tuple(expected[name])
    ]
    if faults:
        raise ExtensionFileError(
            f"{path} does not fit the model, {len(faults)} faults:\n  " + "\n  ".join(faults)
        )
