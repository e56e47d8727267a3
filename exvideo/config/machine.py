"""What a machine lacks for a preset's whole road, found before anything starts."""

import glob
import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from upath import UPath

from exvideo.config.base_folder import NEEDED, UNET_CONFIG, is_repository, known_folder, single_file
from exvideo.config.places import shipped, unwritable
from exvideo.config.preset import Preset, data_root
from exvideo.config.preset_file import PresetError
from exvideo.config.sections import LocalSource, PretrainedBase
from exvideo.config.training import TrainingConfig

INSTALL_FLASH_ATTN = "`make flash`, or `pip install ninja flash-attn --no-build-isolation`"
"""As its project says: it builds against the torch that is installed, with CUDA's compiler."""


def check_machine(preset: Preset) -> None:
    """Refuse, with `PresetError` and every reason, what some stage would lack on this machine."""
    faults = [*_source(preset), *_base(preset), *_storage(preset), *_evaluation(preset)]
    faults += training_faults(preset.training)
    if faults:
        reasons = "\n  ".join(faults)
        raise PresetError(f"preset {preset.name} can't run on this machine:\n  {reasons}")


def training_faults(training: TrainingConfig) -> list[str]:
    """What the training alone would lack."""
    faults = []
    if training.attention == "flash_attn" and importlib.util.find_spec("flash_attn") is None:
        faults.append(
            "training.attention: flash_attn needs the flash-attn package, which is not installed: "
            f"{INSTALL_FLASH_ATTN}; or set training.attention to sdpa, which has a flash kernel "
            "of its own"
        )
    if training.nodes is not None and not os.environ.get("RAY_ADDRESS"):
        faults.append(
            f"training.nodes ({training.nodes}) are a Ray cluster's: name it in RAY_ADDRESS, or "
            "leave nodes out to train where the stage runs"
        )
    return faults


def _source(preset: Preset) -> Iterator[str]:
    if not isinstance(preset.source, LocalSource):
        return
    for text in preset.source.paths:
        path = Path(text).expanduser()
        if not path.exists() and not glob.has_magic(text):
            yield f"source.paths: there is no {path} (seen from {Path.cwd()})"


def _base(preset: Preset) -> Iterator[str]:
    base, folder = preset.model.base, known_folder(preset.model.base)
    if folder is None:
        if not isinstance(base, PretrainedBase) or not is_repository(base.path):
            yield (
                f"model.base.path: there is no base model at {base.path} (seen from {Path.cwd()}): "
                "name a folder in diffusers' layout or owner/name on the hub"
            )
        return
    if single_file(base) or not Path(shipped(base.path)).expanduser().is_dir():
        return
    missing = [file for file in NEEDED if not (folder / file).is_file()]
    if isinstance(base, PretrainedBase):
        weights = f"*.{base.variant}*.safetensors" if base.variant else "*.safetensors"
        parts = ("unet", "vae", "image_encoder")
        missing += [f"{it}/{weights}" for it in parts if not any((folder / it).glob(weights))]
    if missing:
        yield f"model.base.path: the base model in {folder} has no {', '.join(missing)}"
    elif other := _other_than_svd(json.loads((folder / UNET_CONFIG).read_text())):
        yield f"model.base.path: {folder} is no base of Stable Video Diffusion's class: {other}"


def _other_than_svd(unet: dict[str, Any]) -> str | None:
    # diffusers would load both as what they are not and drop what does not fit, with a warning.
    if "extension" in unet:
        return "it is extended already"
    name = unet.get("_class_name")
    return None if name == "UNetSpatioTemporalConditionModel" else f"its U-Net is a {name}"


def _storage(preset: Preset) -> Iterator[str]:
    key = "storage.root" if preset.storage.root else "EXVIDEO_HOME"
    try:
        root = UPath(data_root(preset))
        local = root.protocol in ("", "file", "local")
        _ = root.fs  # imports what speaks the protocol
    except (ImportError, ValueError) as error:
        yield (
            f"{key}: {data_root(preset)} is no storage that can be written to here ({error}): "
            "`make setup EXTRAS=s3` installs what s3:// needs"
        )
        return
    folders = {key: str(root)} if local else {}
    if preset.storage.scratch:
        folders["storage.scratch"] = preset.storage.scratch
    elif not local:
        yield f"storage.scratch: {key} is {root}: name a local folder for checkpoints"
    if not local and preset.tracking.tracking_uri is None:
        yield f"tracking.tracking_uri: {key} is {root}: name an MLflow server"
    for name, folder in folders.items():
        if existing := unwritable(Path(folder)):
            yield f"{name}: {existing} is no folder that can be written to"


def _evaluation(preset: Preset) -> Iterator[str]:
    weights = preset.evaluation.flow.weights
    if weights != "torchvision" and not Path(shipped(weights)).expanduser().is_file():
        yield (
            f"evaluation.flow.weights: there is no file {weights}: give a safetensors or state "
            "dict file, or `torchvision` for the published weights"
        )
