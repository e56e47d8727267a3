"""A clip's perceptual signature: hashes of parts of a few frames, each at a few crops.

The hash is the sign of the lowest frequencies (pHash, Zauner 2010): it survives encoding, and
scaling. What is far brighter or darker than the rest is cut off, or one logo would make one of any
two plain pictures. A slight crop moves the hash, so that each frame is also hashed as if cropped;
and a logo or a subtitle, so that it is also hashed without its top and without its bottom.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from exvideo.clips.filters.footage import Footage

FRAMES = 8
CROPS = (1.0, 0.95, 0.9)
"""Shares of each side that are looked at, about the centre."""

PARTS = ((0.0, 1.0), (0.0, 0.75), (0.25, 1.0))
"""From where to where on the height."""

EXTREMES = (10, 90)
"""Percentiles of the grey levels, beyond which they are cut off."""

SIDE, LOW = 32, 8
"""Px of the hashed picture, and its frequencies in each direction that count: 64 bits."""


def signature(footage: Footage) -> str:
    """Hex digits of the hashes, uint64 [8 frames, 3 parts, 3 crops]."""
    small = footage.small
    chosen = np.linspace(0, len(small) - 1, FRAMES).round().astype(int)
    hashes = [
        [[_hash(_part(_cropped(small[i], share), *part)) for share in CROPS] for part in PARTS]
        for i in chosen
    ]
    return np.array(hashes, ">u8").tobytes().hex()


def hashes(text: str) -> NDArray[np.uint64]:
    """A signature's hashes, uint64 [8 frames, 3 parts, 3 crops]."""
    words = np.frombuffer(bytes.fromhex(text), ">u8").astype(np.uint64)
    return words.reshape(FRAMES, len(PARTS), len(CROPS))


def _cropped(grey: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    height, width = grey.shape
    rows, columns = round(height * share), round(width * share)
    top, left = (height - rows) // 2, (width - columns) // 2
    return grey[top : top + rows, left : left + columns]


def _part(grey: NDArray[np.uint8], start: float, end: float) -> NDArray[np.uint8]:
    return grey[round(start * len(grey)) : round(end * len(grey))]


def _hash(grey: NDArray[np.uint8]) -> np.uint64:
    picture = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    frequencies = cv2.dct(_without_extremes(picture))[:LOW, :LOW].ravel()
    # The first is the brightness, which says nothing of the picture.
    bits = frequencies > np.median(frequencies[1:])
    return np.packbits(bits).view(">u8").astype(np.uint64)[0]


def _without_extremes(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """The darkest and the brightest pixels as if they were like the next ones."""
    return np.clip(picture, *np.percentile(picture, EXTREMES)).astype(np.float32)
