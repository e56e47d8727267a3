"""The straightness of a camera's path that is meant to turn, between its turns."""

import numpy as np

from exvideo.evaluation.metrics.camera import path_straightness


def piecewise_straightness(motion: np.ndarray, pairs: int) -> float:
    """Mean `path_straightness` of the fitted motion [T-1, 2, 3] over stretches of `pairs` pairs.

    Where a camera turns after every `pairs` pairs, its whole path comes back and has a straightness
    near 0 however well it goes; each way out and each way back has 1. A camera that jumps back to
    where a stretch began has 0 in it. Which way a stretch leads is not looked at. A last, shorter
    stretch counts like the others, one that stands still doesn't. NaN where all of them do.
    """
    if pairs < 2:
        raise ValueError(f"pairs is {pairs}, expected at least 2: one pair is always straight")
    starts = range(0, len(motion), pairs)
    found = [path_straightness(motion[start : start + pairs]) for start in starts]
    known = [it for it in found if np.isfinite(it)]
    return float(np.mean(known)) if known else float("nan")
