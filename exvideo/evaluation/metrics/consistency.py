"""How much of what a network sees in a clip stays the same, as VBench scores it."""

import numpy as np


def consistency(features: np.ndarray) -> float:
    """VBench's subject and background consistency of a network's features, [T, D].

    The mean over frames of the cosines to the one before and to the first one, negative ones
    counted as 0 (Huang et al., 2024; `subject_consistency.py` with DINO's features,
    `background_consistency.py` with CLIP's). VBench's score of many clips is the mean over all
    frames, which is the clips' mean where they are equally long. NaN for a single frame.
    """
    if len(features) < 2:
        return float("nan")
    unit = _unit(features)
    before = np.maximum((unit[:-1] * unit[1:]).sum(axis=1), 0)
    first = np.maximum(unit[1:] @ unit[0], 0)
    return float((before + first).mean() / 2)


def image_to_video(features: np.ndarray, given: np.ndarray) -> float:
    """VBench-I2V's `i2v_subject` of a clip's features [T, D] and those [D] of the given picture.

    0.4 of the largest cosine of any frame to the picture, and 0.3 each of the mean and the smallest
    between neighbours, negative ones counted as 0 (`i2v_subject.py`). NaN for a single frame.
    """
    if len(features) < 2:
        return float("nan")
    unit, picture = _unit(features), _unit(given[None])[0]
    alike = np.maximum(unit @ picture, 0)
    neighbours = np.maximum((unit[:-1] * unit[1:]).sum(axis=1), 0)
    return float(0.4 * alike.max() + 0.3 * neighbours.mean() + 0.3 * neighbours.min())


def _unit(features: np.ndarray) -> np.ndarray:
    found = features.astype(np.float64)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    unit: np.ndarray = found / np.maximum(lengths, 1e-12)
    return unit
