"""The fitted camera motion, against exact flow of the small world and motions made by hand."""

import numpy as np
import pytest

from exvideo.evaluation.metrics import camera_flow, camera_jitter, path_straightness
from tests.evaluation.metrics.made_clips import (
    PARALLAX,
    SIZE,
    everywhere,
    panned,
    there_and_back,
    uniform_flow,
    zoomed,
)


def pan(velocities: list[tuple[float, float]]) -> np.ndarray:
    flow = uniform_flow(velocities, 16)
    return camera_flow(flow, everywhere(flow))


def test_a_pan_is_a_shift_of_its_own_speed() -> None:
    motion = pan([(3.0, -4.0)])
    np.testing.assert_allclose(motion, [[[0, 0, 3], [0, 0, -4]]], atol=1e-9)


def test_the_norm_of_a_motion_is_its_root_mean_square_over_the_frame() -> None:
    clip = zoomed(0.02, 3)
    rms = np.sqrt(np.square(clip.flow).sum(axis=1).mean(axis=(1, 2)))
    motion = camera_flow(clip.flow, everywhere(clip.flow))
    assert np.linalg.norm(motion, axis=(1, 2)) == pytest.approx(rms, rel=1e-3)
    # Pixels move away from the centre as far as they are from it, times the growth.
    growth = np.expm1(0.02) * np.sqrt((SIZE**2 - 1) / 12)
    expected = [[growth, 0, 0], [0, growth, 0]]
    np.testing.assert_allclose(motion, [expected] * 2, atol=1e-3)


def test_layers_do_not_pull_the_fit() -> None:
    clip = panned(1.0, 6, PARALLAX)
    assert (np.abs(clip.flow[:, 1]) > 1).mean() > 0.1, "a tenth of the frame goes its own way"
    motion = camera_flow(clip.flow, clip.valid)
    np.testing.assert_allclose(motion, [[[0, 0, -1], [0, 0, 0]]] * 5, atol=0.02)


def test_noise_averages_out() -> None:
    flow = uniform_flow([(1.0, 0.0)] * 8, SIZE)
    flow += np.random.default_rng(0).normal(0, 0.1, flow.shape).astype(np.float32)
    assert camera_jitter(camera_flow(flow, everywhere(flow))) < 0.05


def test_what_is_occluded_has_no_say() -> None:
    flow = uniform_flow([(1.0, 0.0)] * 4, 16)
    visible = everywhere(flow)
    flow[:, :, :12] = 30.0
    visible[:, :12] = False
    np.testing.assert_allclose(camera_flow(flow, visible)[:, 0, 2], 1.0)


@pytest.mark.parametrize(
    ("velocities", "jitter", "straightness"),
    [
        ([(2.0, 0.0)] * 6, 0.0, 1.0),
        ([(float(t), 0.0) for t in range(1, 7)], 0.0, 1.0),
        ([(2.0, 1.0), (-2.0, -1.0)] * 3, 4.0, 0.0),
        ([(1.0, 0.0)] * 3 + [(-1.0, 0.0)] * 3, 1.0, 0.0),
        ([(1.0, 0.0)] * 3 + [(0.0, 1.0)] * 3, 0.5**0.5, 0.5**0.5),
    ],
    ids=["steady", "accelerated", "turns at every frame", "turns once", "round a corner"],
)  # fmt: skip
def test_jitter_and_straightness_of_pans(
    velocities: list[tuple[float, float]], jitter: float, straightness: float
) -> None:
    motion = pan(velocities)
    assert camera_jitter(motion) == pytest.approx(jitter, abs=1e-6)
    assert path_straightness(motion) == pytest.approx(straightness, abs=1e-6)


def test_a_zoom_is_a_straight_path_and_a_zoom_in_and_out_is_none() -> None:
    clip = zoomed(0.05, 7)
    motion = camera_flow(clip.flow, everywhere(clip.flow))
    assert path_straightness(motion) == pytest.approx(1)
    assert camera_jitter(motion) == pytest.approx(0, abs=1e-3)
    _, flow = there_and_back(clip)
    pumping = camera_flow(flow, everywhere(flow))
    assert path_straightness(pumping) == pytest.approx(0, abs=1e-6)
    assert camera_jitter(pumping) == pytest.approx(4, abs=1e-3)


def test_a_still_camera_has_neither_even_while_layers_move() -> None:
    clip = panned(0.0, 6, PARALLAX)
    motion = camera_flow(clip.flow, clip.valid)
    assert np.isnan(camera_jitter(motion))
    assert np.isnan(path_straightness(motion))


def test_three_frames_have_no_jitter() -> None:
    assert np.isnan(camera_jitter(pan([(1.0, 0.0)] * 2)))
    assert path_straightness(pan([(1.0, 0.0)] * 2)) == pytest.approx(1)


def test_a_pair_in_which_nothing_is_seen_leaves_both_undefined() -> None:
    flow = uniform_flow([(1.0, 0.0)] * 5, 16)
    visible = everywhere(flow)
    visible[2] = False
    motion = camera_flow(flow, visible)
    assert np.isnan(camera_jitter(motion))
    assert np.isnan(path_straightness(motion))
