"""How well a clip's frames lie between their neighbours, as VBench scores it."""

from collections.abc import Callable

import numpy as np

Interpolate = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Two frames, uint8 [H, W, 3], to the one between them."""


def motion_smoothness(frames: np.ndarray, interpolate: Interpolate) -> float:
    """VBench's motion smoothness of uint8 frames [T, H, W, 3].

    Every second frame is left out and interpolated from its neighbours: 1 - mean |guess - frame|,
    pixels in [0, 1] (Huang et al., 2024; `motion_smoothness.py`). NaN below three frames.
    """
    kept, left_out = frames[::2], frames[1::2]
    if len(kept) < 2:
        return float("nan")
    between = zip(kept[:-1], kept[1:], left_out, strict=False)
    apart = [np.abs(interpolate(a, b) - c.astype(np.float64)).mean() for a, b, c in between]
    return float(1 - np.mean(apart) / 255)
