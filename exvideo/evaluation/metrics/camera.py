"""The camera's motion: what is left of the flow once layers, noise and outliers are voted down.

Per pixel, a flow estimator's own error counts as shake. A fit over the whole frame averages it
away, and follows what most of the frame does.
"""

import numpy as np

from exvideo.evaluation.metrics.motion import STILL
from exvideo.video.camera import camera_flow

__all__ = ["camera_flow", "camera_jitter", "path_straightness"]


def camera_jitter(motion: np.ndarray) -> float:
    """`jitter` of the fitted motion [T-1, 2, 3]: its second difference over its speed.

    0 for steady, growing and evenly accelerated motion, 4 for a camera that turns back at every
    frame. NaN for a camera that stands still, and below 4 frames.
    """
    motion = _known(motion)
    if len(motion) < 3 or _lengths(motion).mean() < STILL:
        return float("nan")
    second_difference = motion[:-2] - 2 * motion[1:-1] + motion[2:]
    return float(_lengths(second_difference).mean() / _lengths(motion).mean())


def path_straightness(motion: np.ndarray) -> float:
    """Net displacement over the length of the path, of the fitted motion [T-1, 2, 3].

    1 for a camera that goes on, in a pan as in a zoom or a turn; 0 for one that comes back to where
    it was. NaN for a camera that stands still.
    """
    motion = _known(motion)
    if not len(motion) or _lengths(motion).mean() < STILL:
        return float("nan")
    return float(np.linalg.norm(motion.sum(axis=0)) / _lengths(motion).sum())


def _known(motion: np.ndarray) -> np.ndarray:
    return motion if np.isfinite(motion).all() else motion[:0]


def _lengths(motion: np.ndarray) -> np.ndarray:
    return np.linalg.norm(motion, axis=(1, 2))
