"""The straightness between a camera's turns, of motions made by hand."""

import numpy as np
import pytest

from exvideo.evaluation.metrics import path_straightness, piecewise_straightness


def along_x(velocities: list[float]) -> np.ndarray:
    """Motions that shift the picture by these pixels a frame, [T-1, 2, 3]."""
    motion = np.zeros((len(velocities), 2, 3))
    motion[:, 0, 2] = velocities
    return motion


OUT = [1.0, 2.0, 2.0, 1.0]
BACK = [-1.0, -2.0, -2.0, -1.0]


def test_a_swing_is_straight_between_its_turns_and_not_as_a_whole() -> None:
    swing = along_x([*OUT, *BACK])
    assert path_straightness(swing) == pytest.approx(0)
    assert piecewise_straightness(swing, 4) == pytest.approx(1)


def test_a_stretch_that_ends_in_a_jump_back_to_its_start_has_none() -> None:
    restarted = along_x([1, 1, 1, -3, 1, 1, 1, -3])
    assert piecewise_straightness(restarted, 4) == pytest.approx(0)


def test_a_step_back_counts_by_its_length() -> None:
    # 3 forth and 1 back: 2 of 4 pixels are left.
    assert piecewise_straightness(along_x([1, -1, 1, 1]), 4) == pytest.approx(0.5)


def test_stretches_weigh_alike_the_shorter_last_one_too() -> None:
    motion = along_x([*OUT, 1, -1])
    assert piecewise_straightness(motion, 4) == pytest.approx((1 + 0) / 2)


def test_a_still_stretch_is_left_out_and_a_still_clip_has_none() -> None:
    assert piecewise_straightness(along_x([*OUT, 0, 0, 0, 0]), 4) == pytest.approx(1)
    assert np.isnan(piecewise_straightness(along_x([0.0] * 8), 4))


def test_single_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        piecewise_straightness(along_x(OUT), 1)
