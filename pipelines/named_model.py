"""The model that a command line names: where it lies, what it extends, what its clips say of it."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from upath import UPath

from exvideo.config import BaseModelConfig, Preset
from exvideo.config.base_folder import UNET_CONFIG, check_size, frame_unit_of, known_folder
from exvideo.errors import InputError
from exvideo.receipt import read_receipt, stage_folder


@dataclass(frozen=True)
class NamedModel:
    """A post-tuned model's folder, an extension's file, or a pipeline in diffusers' layout."""

    path: str
    base: BaseModelConfig
    """What it extends, as far as it says so, else the preset's."""
    extension: Path | None
    """Its trained tensors, where these have a file of their own."""

    @property
    def given_base(self) -> BaseModelConfig | None:
        """What an extension's file alone needs to be loaded; other forms name their own."""
        return self.base if self.path.endswith(".safetensors") else None

    @property
    def folder(self) -> Path | None:
        """Of the configurations, where there are any on this machine."""
        return known_folder(self.base) if self.extension else Path(self.path)


def named_model(model: str | None, preset: Preset) -> NamedModel:
    """The model as named, by default the preset's last post-tuned one. Raises `InputError`."""
    from exvideo.generation.load import model_description

    path = _path(model, preset)
    if described := model_description(Path(path)):
        return NamedModel(path, described.base, Path(path) / described.extension)
    extension = Path(path) if path.endswith(".safetensors") else None
    return NamedModel(path, preset.model.base, extension)


def _path(model: str | None, preset: Preset) -> str:
    if model is None:
        stage = stage_folder(preset, "post_tuned_model")
    else:
        model = os.path.expanduser(model)  # noqa: PTH111 - a Path would drop the ./ of a local folder
        stage = UPath(Path(model))
    receipt = read_receipt(stage)
    if receipt is not None:
        return str(stage / receipt.folder)
    if model is None:
        raise InputError(
            f"there is no post-tuned model in {stage}: name one with --model, or run "
            f"`exvideo run post_tuned_model --preset {preset.name}` first"
        )
    return model


def check_sizes(folder: Path | None, sizes: list[tuple[int, int]]) -> None:
    """Refuse heights and widths that a model of these configurations can't take."""
    if folder is not None and (folder / UNET_CONFIG).is_file():
        for height, width in sizes:
            check_size(height, width, frame_unit_of(folder))


def check_length(model: NamedModel, num_frames: int, option: str) -> None:
    """Refuse more frames than the model is extended to; `option` takes fewer."""
    from exvideo.models import read_metadata

    if model.extension is None:
        return
    if num_frames > (longest := read_metadata(model.extension).num_frames):
        raise InputError(
            f"the model in {model.extension} is extended to {longest} frames, not to "
            f"{num_frames}: ask for fewer with {option}{longest}"
        )


def native_frames(model: NamedModel) -> int:
    """The length that the base was trained for. Raises `InputError` where nothing here tells."""
    from exvideo.models import read_metadata

    if model.extension is not None:
        return read_metadata(model.extension).native_frames
    try:
        config = json.loads((Path(model.path) / UNET_CONFIG).read_text())
        return int((config.get("extension") or {}).get("native_frames") or config["num_frames"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{model.path} is no model on this machine: {error!r}") from error


def identity(model: NamedModel) -> str:
    """Another one where the model's weights are others. For models on this machine."""
    from exvideo.models import base_id
    from exvideo.receipt import digest_of
    from exvideo.sources.file_digests import sha256_of

    if model.extension is not None:
        return digest_of([sha256_of(model.extension), base_id(model.base)])
    folder = Path(model.path)
    files = sorted(it for kind in ("json", "safetensors") for it in folder.rglob(f"*.{kind}"))
    return digest_of([(str(it.relative_to(folder)), sha256_of(it)) for it in files])


def origin(model: NamedModel, seed: int) -> str | None:
    """What a clip says of its origin; only an extension's file has one to tell."""
    from exvideo.lineage import Origin
    from exvideo.models import read_metadata
    from exvideo.sources.file_digests import sha256_of

    if model.extension is None:
        return None
    metadata = read_metadata(model.extension)
    return Origin(
        model=sha256_of(model.extension),
        data=metadata.data_digest,
        base=metadata.base_id,
        seed=seed,
    ).comment()
