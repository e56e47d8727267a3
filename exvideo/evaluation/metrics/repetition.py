"""Clips that end before their last frame: they freeze, or show again what they have shown."""

import cv2
import numpy as np

from exvideo.evaluation.metrics.appearance import frame_differences

FROZEN = 0.25
"""Grey levels (of 255) between two frames, on average over the pixels, that nobody sees."""

THUMBNAIL = 32


def frozen_tail(frames: np.ndarray) -> float:
    """Share of the pairs of frames, at the end of the clip, in which nothing happens any more.

    1 is a still clip. Nothing happens where frames differ by less than a quarter of a grey level,
    or a tenth of what the clip's livelier pairs do: a decoder never repeats a frame exactly.
    """
    differences = frame_differences(frames)
    if not len(differences):
        return float("nan")
    limit = max(FROZEN, 0.1 * float(np.percentile(differences, 90)))
    alive = np.flatnonzero(differences > limit)
    return 1.0 - (alive[-1] + 1) / len(differences) if len(alive) else 1.0


def repetition(frames: np.ndarray, period: int) -> float:
    """How much more alike frames `period` apart are than frames that are less far apart: 1 repeats.

    1 - d(period) / mean d(lag), where d is the mean absolute difference of frames that many apart,
    and the lags go from half the period up to it. The period is that of the positions which the
    model's table starts from: a model that follows its base's positions repeats itself with them.
    0 and below for motion that goes on, and for noise. NaN for clips of fewer than 1.5 periods, for
    still ones, and for a period of a single frame.
    """
    if period < 2 or len(frames) < 1.5 * period:
        return float("nan")
    small = np.stack([_thumbnail(frame) for frame in frames]).reshape(len(frames), -1)
    between = np.mean([_difference(small, lag) for lag in range((period + 1) // 2, period)])
    return float(1 - _difference(small, period) / between) if between > FROZEN else float("nan")


def _difference(frames: np.ndarray, lag: int) -> float:
    return float(np.abs(frames[lag:] - frames[:-lag]).mean())


def _thumbnail(frame: np.ndarray) -> np.ndarray:
    size = (min(THUMBNAIL, frame.shape[1]), min(THUMBNAIL, frame.shape[0]))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
