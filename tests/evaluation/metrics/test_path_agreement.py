"""How far a camera's path agrees with the world's, of motions made by hand."""

import numpy as np
import pytest

from exvideo.evaluation.metrics import path_agreement

SWING = np.array([[np.sin(np.pi * t / 8) ** 2, 0] for t in range(17)])


def along(path: np.ndarray) -> np.ndarray:
    """The motion [T-1, 2, 3] that takes the picture along a path [T, 2]."""
    motion = np.zeros((len(path) - 1, 2, 3))
    motion[:, :, 2] = np.diff(path, axis=0)
    return motion


def test_the_same_path_agrees_at_every_speed() -> None:
    assert path_agreement(along(SWING), SWING) == pytest.approx(1)
    assert path_agreement(along(0.3 * SWING), SWING) == pytest.approx(1)


def test_the_opposite_path_has_minus_one_and_one_across_it_none() -> None:
    assert path_agreement(along(-SWING), SWING) == pytest.approx(-1)
    assert path_agreement(along(SWING[:, ::-1]), SWING) == pytest.approx(0)


def test_a_pan_that_never_turns_has_nothing_of_a_swing() -> None:
    steady = np.array([[float(t), 0] for t in range(17)])
    assert path_agreement(along(steady), SWING) == pytest.approx(0, abs=1e-12)


def test_a_zoom_about_the_centre_is_not_a_shift() -> None:
    motion = along(SWING)
    motion[:, 0, 0] = motion[:, 1, 1] = 0.5
    assert path_agreement(motion, SWING) == pytest.approx(1)


def test_a_camera_that_stands_still_has_no_path() -> None:
    assert np.isnan(path_agreement(along(0 * SWING), SWING))
    assert np.isnan(path_agreement(along(SWING), 0 * SWING))


def test_a_path_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="17 frames, and motion of 12 pairs"):
        path_agreement(along(SWING)[:12], SWING)
