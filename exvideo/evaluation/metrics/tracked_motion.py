"""How the motion of two sets of clips differs, by points that are tracked through them.

The Fréchet video motion distance (FVMD; Liu et al., 2024) with one thing changed, so that its
values are not FVMD's: points follow the optical flow, where FVMD tracks them by a network.
"""

import numpy as np

SIDE = 256
"""Motion is measured in pixels of a frame of this size, as FVMD resizes its clips."""

POINTS, CELL = 20, 5
"""Points a side, and those of a histogram's cell."""

SEGMENT, SPAN = 16, 4
"""Frames of a segment, whose points start anew on the grid, and those of a histogram."""

ANGLES = 8


def motion_histograms(flow: np.ndarray) -> np.ndarray:
    """What a clip's flow [T-1, 2, H, W] says of its motion, float64 [segments, 1024].

    A row a segment of 16 frames, neighbours sharing one: for each cell of 5x5 points and 4 frames,
    the histogram of the directions of velocity and of acceleration, weighted by the logarithm of
    their size. No rows for clips of fewer than 16 frames.
    """
    height, width = flow.shape[2:]
    unit = np.array([SIDE / width, SIDE / height])
    rows = []
    for start in range(0, len(flow) - SEGMENT + 2, SEGMENT - 1):
        velocity = np.diff(_tracks(flow[start : start + SEGMENT - 1]), axis=0) * unit
        # The first frame has no velocity, the first two no acceleration: FVMD has zeros there.
        acceleration = np.diff(velocity, axis=0)
        rows.append(np.concatenate([_histograms(velocity), _histograms(acceleration)]))
    return np.array(rows).reshape(len(rows), 2 * (SEGMENT // SPAN) * (POINTS // CELL) ** 2 * ANGLES)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Between Gaussians through two sets of rows, [N, D] and [M, D]; NaN below 2 rows in either.

    |mean a - mean b|^2 + Tr(A + B - 2 (A B)^(1/2)) of the covariances A and B (Heusel et al.,
    2017). With N and M far below D the root is taken in the rows' own space: A = X'X and B = Y'Y
    give Tr (A B)^(1/2) = the sum of the singular values of X Y'.
    """
    if min(len(a), len(b)) < 2:
        return float("nan")
    x, y = ((rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1) for rows in (a, b))
    shift = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    common = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    return float(max(shift + np.square(x).sum() + np.square(y).sum() - 2 * common, 0.0))


def _tracks(flow: np.ndarray) -> np.ndarray:
    """Where an even grid's points go, [frames, 20, 20, 2] in pixels (x, y)."""
    height, width = flow.shape[2:]
    margin = 8 / SIDE
    x = np.linspace(margin * width, (1 - margin) * width - 1, POINTS)
    y = np.linspace(margin * height, (1 - margin) * height - 1, POINTS)
    places = [np.stack(np.meshgrid(x, y), axis=-1)]
    for pair in flow:
        places.append(places[-1] + _bilinear(pair, places[-1]))
    return np.stack(places)


def _bilinear(flow: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The flow [2, H, W] at places [..., 2]; beyond the border, that of the rim."""
    limit = np.array([flow.shape[2] - 1, flow.shape[1] - 1])
    inside = np.clip(places, 0, limit)
    below = np.minimum(inside.astype(int), limit - 1)
    share = inside - below
    found = np.zeros(places.shape)
    for dx in (0, 1):
        for dy in (0, 1):
            part = np.abs(1 - dx - share[..., 0]) * np.abs(1 - dy - share[..., 1])
            corner = flow[:, below[..., 1] + dy, below[..., 0] + dx]
            found += part[..., None] * np.moveaxis(corner, 0, -1)
    return found


def _histograms(vectors: np.ndarray) -> np.ndarray:
    """Vectors [n, 20, 20, 2], n at most 16, to FVMD's histograms, [4 x 4 x 4 x 8]."""
    padded = np.zeros((SEGMENT, POINTS, POINTS, 2))
    padded[SEGMENT - len(vectors) :] = vectors
    angle = np.arctan2(padded[..., 0], padded[..., 1]) + np.pi
    direction = np.minimum((angle // (2 * np.pi / ANGLES)).astype(int), ANGLES - 1)
    size = np.log2(1 + np.minimum(np.linalg.norm(padded, axis=-1), 255))
    # Rounded first, or the last bit of a constant motion would count as an acceleration.
    size = np.ceil(size.round(6)) / 8
    weights = size[..., None] * (direction[..., None] == np.arange(ANGLES))
    cells = POINTS // CELL
    shape = (SEGMENT // SPAN, SPAN, cells, CELL, cells, CELL, ANGLES)
    return weights.reshape(shape).sum(axis=(1, 3, 5)).ravel()
