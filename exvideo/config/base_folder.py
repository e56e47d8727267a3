"""A base model as far as its folder's configurations tell, read without loading torch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exvideo.config.places import PROJECT, shipped
from exvideo.config.sections import BaseModelConfig
from exvideo.errors import InputError

SVD_XT = PROJECT / "exvideo" / "models" / "svd_xt"
"""The configurations of SVD-XT's parts, which a single file does not carry."""

SVD_REPOSITORY = "stabilityai/stable-video-diffusion-"
"""Stability's versions on the hub are all of SVD-XT's size."""

UNET_CONFIG = "unet/config.json"
VAE_CONFIG = "vae/config.json"
NEEDED = (
    UNET_CONFIG,
    VAE_CONFIG,
    "image_encoder/config.json",
    "feature_extractor/preprocessor_config.json",
    "scheduler/scheduler_config.json",
)
"""What some stage, the evaluation at last, reads of a base model's folder beside its weights."""


def single_file(base: BaseModelConfig) -> Path | None:
    """The checkpoint itself, where the base is one file in Stability's layout."""
    local = Path(shipped(base.path)).expanduser()
    return local if local.suffix == ".safetensors" and local.is_file() else None


def is_repository(path: str) -> bool:
    """Whether a path that does not exist may be owner/name on the hub."""
    local = path.startswith((".", "/", "~")) or path.endswith(".safetensors")
    return path.count("/") == 1 and not local


def known_folder(base: BaseModelConfig) -> Path | None:
    """The folder of the parts' configurations, None where only the hub has it.

    For a single file, its own folder if that has them, else SVD-XT's.
    """
    local = Path(shipped(base.path)).expanduser()
    if single_file(base):
        return local.parent if (local.parent / UNET_CONFIG).is_file() else SVD_XT
    if local.is_dir():
        return local
    return SVD_XT if base.path.startswith(SVD_REPOSITORY) else None


def frame_unit(unet: Mapping[str, Any], vae: Mapping[str, Any]) -> int:
    """Pixels a side that one position at the U-Net's lowest level stands for: 64 for SVD.

    Every level after the first, of the VAE and of the U-Net, halves the frame.
    """
    levels = len(unet["block_out_channels"]) + len(vae["block_out_channels"])
    return int(2 ** (levels - 2))


def frame_unit_of(folder: Path) -> int:
    """`frame_unit` of a base model's folder.

    Raises `InputError` where its configurations do not tell.
    """
    try:
        return frame_unit(*(json.loads((folder / it).read_text()) for it in NEEDED[:2]))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{folder} is no base model: {UNET_CONFIG} and {VAE_CONFIG} must give their "
            f"block_out_channels ({error!r})"
        ) from error


def check_size(height: int, width: int, unit: int) -> None:
    """Refuse sizes that the U-Net cannot halve often enough, with `InputError`."""
    if height % unit or width % unit or height <= 0 or width <= 0:
        raise InputError(f"height {height} and width {width} must be multiples of {unit}")
