"""The camera's motion: what is left of the flow once layers, noise and outliers are voted down."""

import numpy as np

SAMPLES = 2048
"""Pixels of a pair that the fit looks at, on an even grid: more change nothing."""

ITERATIONS = 15


def camera_flow(flow: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """The affine motion that most of each pair's flow follows, float64 [T-1, 2, 3].

    Pixel (x, y) moves by m @ (x', y', 1), with x' and y' counted from the frame's centre in units
    that make their mean square over the frame 1. So a motion's root mean square over the frame, in
    pixels, is the norm of its six numbers, and what the metrics below add and compare are flows.

    Least squares, reweighted by Geman and McClure's function (Black and Anandan, 1996), which gives
    pixels that go their own way no say; it starts from the median flow. NaN for a pair with hardly
    anything visible.
    """
    height, width = flow.shape[2:]
    step = max(1, int(np.sqrt(height * width / SAMPLES)))
    rows, columns = slice(step // 2, None, step), slice(step // 2, None, step)
    y, x = np.mgrid[:height, :width][:, rows, columns].reshape(2, -1)
    points = np.stack([_unit(x, width), _unit(y, height), np.ones(len(x))], axis=1)
    sampled = flow[:, :, rows, columns].reshape(len(flow), 2, -1).astype(np.float64)
    seen = visible[:, rows, columns].reshape(len(flow), -1)
    return np.stack([_fit(points[s], f[:, s]) for f, s in zip(sampled, seen, strict=True)])


def _unit(coordinate: np.ndarray, size: int) -> np.ndarray:
    """Pixels from the frame's centre, over their root mean square in a frame of this size."""
    return (coordinate - (size - 1) / 2) / np.sqrt((size**2 - 1) / 12)


def _fit(points: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Points [P, 3] and their flow [2, P] to an affine motion [2, 3]."""
    if len(points) < 12:  # two for each unknown
        return np.full((2, 3), np.nan)
    motion = np.zeros((2, 3))
    motion[:, 2] = np.median(flow, axis=1)
    for _ in range(ITERATIONS):
        squares = np.square(flow - motion @ points.T).sum(axis=0)
        # Down to the accuracy of a flow, below which nothing is an outlier.
        scale = max(float(np.median(squares)), 1e-4)
        weights = 1 / np.square(1 + squares / scale)
        weighted = points * weights[:, None]
        motion = np.linalg.lstsq(weighted.T @ points, weighted.T @ flow.T, rcond=None)[0].T
    return motion
