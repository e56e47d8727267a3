"""Whether a clip's camera goes where the world's does, and when."""

import numpy as np


def path_agreement(motion: np.ndarray, path: np.ndarray) -> float:
    """Correlation of the picture's path with the one that it should take.

    The fitted motion [T-1, 2, 3], as `camera_flow` gives it, is added up to the picture's shift in
    every frame; `path` [T, 2] is the shift that it should have, in any unit. Both are counted from
    their mean, x and y together (Pearson's correlation): 1 for the same path at whatever speed, -1
    for the opposite one, 0 for a steady pan against a swing that comes back. Unlike straightness,
    it knows directions. NaN for a path that stays in one place.
    """
    if len(path) != len(motion) + 1:
        raise ValueError(f"a path of {len(path)} frames, and motion of {len(motion)} pairs")
    shifts = np.concatenate([np.zeros((1, 2)), motion[:, :, 2].cumsum(axis=0)])
    found, wanted = (it - it.mean(axis=0) for it in (shifts, np.asarray(path)))
    lengths = np.linalg.norm(found), np.linalg.norm(wanted)
    if not np.isfinite(lengths[0]) or min(lengths) < 1e-9:
        return float("nan")
    return float((found * wanted).sum() / (lengths[0] * lengths[1]))
