"""Pictures to generate clips from, out of a folder of images."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from exvideo.errors import InputError
from exvideo.evaluation.samples import FirstFrame

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


def first_frames(folder: Path, height: int, width: int) -> tuple[list[FirstFrame], list[str]]:
    """Every image below `folder`, cut to the clip's aspect ratio and resized, by its file's name.

    The second list names what can't be read, each with its reason.

    Raises `InputError` where two images have one name, or none can be read.
    """
    found: dict[str, FirstFrame] = {}
    unread = []
    for path in _images(folder):
        if path.stem in found:
            raise InputError(f"two images below {folder} are named {path.stem}: rename one")
        try:
            with Image.open(path) as image:
                upright = ImageOps.exif_transpose(image).convert("RGB")
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            unread.append(f"{path.name}: {error}")
            continue
        found[path.stem] = FirstFrame(path.stem, fitted(upright, height, width))
    if not found:
        reasons = f" ({'; '.join(unread[:3])})" if unread else ""
        raise InputError(f"no image in {folder} can be read{reasons}")
    return list(found.values()), unread


def fitted(picture: Image.Image, height: int, width: int) -> np.ndarray:
    """The middle of a picture at another size and aspect ratio, uint8 [H, W, 3]."""
    return np.asarray(ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS))


def _images(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    yield from sorted(it for it in folder.rglob("*") if it.suffix.lower() in SUFFIXES)
