"""Letterboxes, pillarboxes and frames around a picture."""

from math import ceil, floor

import cv2
import numpy as np
from numpy.typing import NDArray

from exvideo.video.crop import Crop
from exvideo.video.rgb import Frame

FLAT = 20
"""Grey levels by which a border's pixels may differ, over the frame and over time: a lossy encoder
leaves some noise in them."""

STEP = 10
"""Grey levels by which half of the picture's first row must have differed from its border."""

MOST = 0.5
"""Share of a side that borders may take; a wider one is more likely a dark picture."""


class Borders:
    """Looks for borders around all frames of a video, which are shown to it one by one, small."""

    def __init__(self, first: Frame) -> None:
        self._darkest = self._brightest = cv2.cvtColor(first, cv2.COLOR_RGB2GRAY)

    def see(self, frame: Frame) -> None:
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        self._darkest = np.minimum(self._darkest, grey)
        self._brightest = np.maximum(self._brightest, grey)

    def add(self, other: "Borders") -> None:
        """What another one has seen of the same video."""
        self._darkest = np.minimum(self._darkest, other._darkest)
        self._brightest = np.maximum(self._brightest, other._brightest)

    def picture(self, height: int, width: int) -> Crop:
        """What lies within the borders, px of frames of this size."""
        rows, columns = self._darkest.shape
        box = content_box(self._darkest.astype(np.uint8), self._brightest.astype(np.uint8))
        top, bottom = _scaled(box.top, box.height, height / rows)
        left, right = _scaled(box.left, box.width, width / columns)
        return Crop(top, left, bottom - top, right - left)


def _scaled(start: int, size: int, scale: float) -> tuple[int, int]:
    """Inwards to whole pixels."""
    return ceil(start * scale), floor((start + size) * scale)


def content_box(darkest: NDArray[np.uint8], brightest: NDArray[np.uint8]) -> Crop:
    """The picture within its borders; `darkest` and `brightest`, [H,W], are each pixel's over time.

    A border's rows or columns are all of one steady colour and end at an edge: a clear sky that
    fades into the picture is none. The whole frame where there is no border.
    """
    height, width = darkest.shape
    top, bottom = _margins(darkest, brightest)
    # The borders above and below would hide that those at the sides are of one colour.
    inside = slice(top, height - bottom)
    left, right = _margins(darkest[inside].T, brightest[inside].T)
    return Crop(top, left, height - top - bottom, width - left - right)


def _margins(darkest: NDArray[np.uint8], brightest: NDArray[np.uint8]) -> tuple[int, int]:
    """Border rows in front and behind."""
    before = _margin(darkest, brightest)
    behind = _margin(darkest[::-1], brightest[::-1])
    return (before, behind) if before + behind <= MOST * len(darkest) else (0, 0)


def _margin(darkest: NDArray[np.uint8], brightest: NDArray[np.uint8]) -> int:
    low = np.minimum.accumulate(darkest.min(axis=1)).astype(int)
    high = np.maximum.accumulate(brightest.max(axis=1)).astype(int)
    flat = high - low <= FLAT
    rows = int(flat.argmin()) if not flat.all() else 0
    if not rows or rows + 1 >= len(darkest):
        return 0
    colour = (low[rows - 1] + high[rows - 1]) / 2
    seam, beyond = (
        _away(rows, colour, darkest, brightest),
        _away(rows + 1, colour, darkest, brightest),
    )
    # Where something dark ends by itself, it seldom does so along the whole row.
    if max(seam, beyond) < STEP:
        return 0
    # The seam's row may be a mix of both, and is dropped then.
    return rows + int(seam < 0.8 * beyond)


def _away(
    row: int, colour: float, darkest: NDArray[np.uint8], brightest: NDArray[np.uint8]
) -> float:
    """Grey levels by which half of a row's pixels differed from a colour at some time."""
    away = np.maximum(np.abs(darkest[row] - colour), np.abs(brightest[row] - colour))
    return float(np.median(away))
