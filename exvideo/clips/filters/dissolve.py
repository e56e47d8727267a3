"""Soft cuts: one shot fades into another, which a detector of hard cuts misses."""

import numpy as np
from numpy.typing import NDArray

from exvideo.clips.filters.filter import Filter
from exvideo.clips.filters.footage import Footage

BLOCKS = 8
"""Rows and columns of blocks that a frame is divided into."""

PERCENTILE = 30
"""Of the blocks' dips: in a dissolve most of them dip together, in a moving picture some do."""

REACHES = (6, 12)
"""Frames to either side: dissolves of about twice as many stand out best."""

NOISE = 4.0
"""A variance, in squared grey levels, below which a block shows nothing."""


def dissolve(footage: Footage) -> float:
    """How deep the contrast dips everywhere at once, between two moments that have more.

    Halfway, two pictures that have nothing in common are mixed to half their mean variance: a
    dissolve scores up to 0.5, more with a fade through one colour. NaN below 13 frames.
    """
    variances = _variances(footage.small)
    reaches = [reach for reach in REACHES if len(variances) > 2 * reach]
    return max((_deepest_dip(variances, reach) for reach in reaches), default=float("nan"))


def _variances(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[T, blocks], each block's in squared grey levels."""
    count, height, width = small.shape
    rows, columns = max(1, height // BLOCKS), max(1, width // BLOCKS)
    whole = small[:, : height // rows * rows, : width // columns * columns]
    blocks = whole.reshape(count, height // rows, rows, width // columns, columns)
    # Frame by frame, as a whole clip in floating point takes long to fetch.
    return np.stack([frame.astype(np.float32).var(axis=(1, 3)).ravel() for frame in blocks])


def _deepest_dip(variances: NDArray[np.float32], reach: int) -> float:
    around = (variances[: -2 * reach] + variances[2 * reach :]) / 2
    dips = 1 - (variances[reach:-reach] + NOISE) / (around + NOISE)
    return float(np.percentile(dips, PERCENTILE, axis=1).max())


FILTER = Filter("dissolve", "dissolve", dissolve, "at most", 0.15)
