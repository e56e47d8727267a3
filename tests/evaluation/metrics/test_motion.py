"""Metrics of each pixel's motion, against motions whose value is known in closed form."""

import numpy as np
import pytest

from exvideo.evaluation import metrics
from tests.evaluation.metrics.made_clips import everywhere, uniform_flow, zoomed


def test_a_constant_pan_has_no_jitter() -> None:
    assert metrics.jitter(uniform_flow([(3.0, -1.0)] * 6)) == pytest.approx(0)


def test_an_evenly_accelerated_pan_has_no_jitter() -> None:
    assert metrics.jitter(uniform_flow([(0.5 * t, t) for t in range(6)])) == pytest.approx(0)


def test_a_shake_that_turns_back_at_every_frame_has_jitter_4() -> None:
    shake = uniform_flow([(2.0, 1.0), (-2.0, -1.0)] * 4)
    assert metrics.jitter(shake) == pytest.approx(4)


def test_jitter_does_not_depend_on_the_speed_of_a_shape_of_motion() -> None:
    flow = np.random.default_rng(0).normal(size=(7, 2, 8, 8))
    assert metrics.jitter(3 * flow) == pytest.approx(metrics.jitter(flow))


def test_jitter_of_uncorrelated_flow_is_the_square_root_of_6() -> None:
    # Var(f - 2g + h) = 6 Var(f), so magnitudes grow by sqrt(6).
    flow = np.random.default_rng(0).normal(size=(40, 2, 64, 64))
    assert metrics.jitter(flow) == pytest.approx(6**0.5, rel=0.01)


@pytest.mark.parametrize("bias", [0.0, 0.06])
def test_a_still_clip_has_no_defined_jitter_whatever_the_estimator_sees_in_it(bias: float) -> None:
    # Equal frames have equal flow: without a floor, a biased estimator's jitter would be 0.
    assert np.isnan(metrics.jitter(uniform_flow([(bias, 0.0)] * 4)))


def test_jitter_refuses_clips_without_a_second_difference() -> None:
    with pytest.raises(ValueError, match="at least 4 frames, not 3"):
        metrics.jitter(uniform_flow([(1.0, 0.0)] * 2))


def test_speed_is_the_mean_length_of_the_vectors() -> None:
    assert metrics.flow_speed(uniform_flow([(3.0, 4.0), (0.0, 1.0)])) == pytest.approx([5, 1])


@pytest.mark.parametrize(
    ("velocities", "coherence"),
    [
        ([(2.0, 1.0)] * 4, 1.0),
        ([(2.0, 1.0), (-2.0, -1.0)] * 2, -1.0),
        ([(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)], 0.0),
        ([(1.0, 0.0), (1.0, 1.0), (0.0, 1.0)], 0.5**0.5),
    ],
)
def test_coherence_is_the_cosine_between_a_pixels_steps(
    velocities: list[tuple[float, float]], coherence: float
) -> None:
    flow = uniform_flow(velocities, 16)
    assert metrics.flow_coherence(flow, everywhere(flow)) == pytest.approx(coherence, abs=1e-6)


def test_coherence_follows_pixels_to_where_they_go() -> None:
    # In a zoom, the flow at a place is the same at all times, and a pixel keeps its direction.
    clip = zoomed(0.05, 4)
    assert metrics.flow_coherence(clip.flow, clip.valid) == pytest.approx(1, abs=1e-4)


def test_coherence_leaves_out_what_is_not_seen_on() -> None:
    flow = uniform_flow([(1.0, 0.0)] * 3, 16)
    flow[1, :, :8] = -flow[1, :, :8]
    visible = everywhere(flow)
    assert metrics.flow_coherence(flow, visible) == pytest.approx(0, abs=0.1)
    visible[:, :8] = False
    assert metrics.flow_coherence(flow, visible) == pytest.approx(1)


@pytest.mark.parametrize("flow", [uniform_flow([(0.0, 0.0)] * 3), uniform_flow([(1.0, 0.0)])])
def test_coherence_is_undefined_for_a_still_clip_and_for_one_of_two_frames(
    flow: np.ndarray,
) -> None:
    assert np.isnan(metrics.flow_coherence(flow, everywhere(flow)))


def test_vbench_looks_at_8_frames_a_second() -> None:
    assert [metrics.vbench_interval(fps) for fps in (4, 8, 24, 30)] == [1, 1, 3, 4]


@pytest.mark.parametrize(("speed", "moves"), [(6.1, 1.0), (5.9, 0.0)])
def test_a_pair_moves_if_its_fastest_twentieth_exceeds_6_pixels_of_256(
    speed: float, moves: float
) -> None:
    flow = np.zeros((15, 2, 20, 32), np.float32)
    flow[:, 0, 0] = speed * 20 / 256  # 32 of 640 pixels, the shorter side is 20
    assert metrics.dynamic_degree(flow) == moves


@pytest.mark.parametrize(("moving", "verdict"), [(3, 0.0), (4, 1.0)])
def test_a_clip_moves_if_4_of_16_frames_do(moving: int, verdict: float) -> None:
    flow = uniform_flow([(10.0, 0.0)] * moving + [(0.0, 0.0)] * (15 - moving), 20)
    assert metrics.dynamic_degree(flow) == verdict


def test_dynamic_degree_is_undefined_for_two_frames() -> None:
    assert np.isnan(metrics.dynamic_degree(uniform_flow([(100.0, 0.0)], 20)))
