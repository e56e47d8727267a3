"""The distance between two sets of clips' motion."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from exvideo.evaluation.metrics import frechet_distance, motion_histograms
from tests.evaluation.metrics.made_clips import uniform_flow


def test_a_pan_fills_one_direction_of_velocity_and_none_of_acceleration() -> None:
    # 1 pixel of 64 is 4 of 256: ceil(log2(1 + 4)) / 8 = 3 / 8 for each of a cell's 25 points.
    (row,) = motion_histograms(uniform_flow([(1.0, 0.0)] * 15, 64))
    velocity, acceleration = row.reshape(2, 4, 4, 4, 8)
    # Directions are counted from up, against the clock; right is the seventh of eight.
    expected = np.zeros((4, 4, 4, 8))
    expected[..., 6] = 4 * 25 * 3 / 8
    expected[0, ..., 6] = 3 * 25 * 3 / 8  # the first frame has no velocity
    np.testing.assert_allclose(velocity, expected)
    np.testing.assert_allclose(acceleration, 0)


def test_points_follow_the_flow_to_where_it_leads() -> None:
    # The left half goes right, the right half goes down: points that cross turn down.
    flow = uniform_flow([(4.0, 0.0)] * 15, 64)
    flow[:, :, :, 32:] = np.array([0.0, 4.0])[:, None, None]
    (row,) = motion_histograms(flow)
    acceleration = row.reshape(2, 4, 4, 4, 8)[1]
    assert acceleration[:, :, :2].sum() > 0
    assert acceleration[:, :, 3].sum() == 0, "the rightmost points never leave their half"


def test_segments_of_16_frames_share_one() -> None:
    rows = [len(motion_histograms(uniform_flow([(1.0, 0.0)] * n, 16))) for n in (14, 15, 29, 30)]
    assert rows == [0, 1, 1, 2]


def test_the_distance_is_frechets() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(40, 3)), 2 * rng.normal(size=(50, 3)) + 1
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    shift = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    expected = shift + np.trace(ca + cb - 2 * sqrtm(ca @ cb).real)
    assert frechet_distance(a, b) == pytest.approx(expected)


def test_a_set_is_no_distance_from_itself_and_a_shift_counts_by_its_square() -> None:
    rows = np.random.default_rng(0).normal(size=(5, 1024))
    assert frechet_distance(rows, rows) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(rows, rows + 0.5) == pytest.approx(1024 * 0.25)


def test_one_row_has_no_distribution() -> None:
    rows = np.ones((2, 4))
    assert np.isnan(frechet_distance(rows, rows[:1]))
