"""Each metric against a motion whose value is known in closed form."""

import numpy as np
import pytest

from exvideo.evaluation import metrics


def uniform_flow(velocities: list[tuple[float, float]]) -> np.ndarray:
    """Every pixel moves alike: [T-1, 2, 8, 8]."""
    return np.broadcast_to(np.array(velocities)[:, :, None, None], (len(velocities), 2, 8, 8))


def scrolled(texture: np.ndarray, step: tuple[int, int], count: int) -> np.ndarray:
    """The texture moved by whole pixels (x, y) a frame, wrapping around."""
    return np.stack(
        [np.roll(texture, (step[1] * t, step[0] * t), axis=(0, 1)) for t in range(count)]
    )


@pytest.fixture
def texture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)


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


def test_a_still_clip_has_no_defined_jitter() -> None:
    assert np.isnan(metrics.jitter(uniform_flow([(0.0, 0.0)] * 4)))


def test_jitter_refuses_clips_without_a_second_difference() -> None:
    with pytest.raises(ValueError, match="at least 4 frames, not 3"):
        metrics.jitter(uniform_flow([(1.0, 0.0)] * 2))


def test_speed_is_the_mean_length_of_the_vectors() -> None:
    assert metrics.flow_speed(uniform_flow([(3.0, 4.0), (0.0, 1.0)])) == pytest.approx([5, 1])


@pytest.mark.parametrize("step", [(1, 0), (0, 2), (-3, 1)])
def test_warping_error_of_an_exact_shift_is_zero(
    texture: np.ndarray, step: tuple[int, int]
) -> None:
    frames = scrolled(texture, step, 4)
    flow = np.tile(np.array(step, np.float32)[:, None, None], (3, 1, 24, 20))
    assert metrics.warping_error(frames, flow) == pytest.approx(0, abs=1e-4)


def test_warping_error_of_a_wrong_flow_is_the_frames_difference(texture: np.ndarray) -> None:
    frames = scrolled(texture, (1, 0), 3)
    difference = np.abs(np.diff(frames / 255.0, axis=0)).mean()
    still = np.zeros((2, 2, 24, 20), np.float32)
    assert metrics.warping_error(frames, still) == pytest.approx(difference, rel=1e-4)


def test_warping_error_leaves_out_pixels_that_leave_the_frame(texture: np.ndarray) -> None:
    frames = np.stack([texture, texture])
    frames[1, :, 1:] = texture[:, :-1]
    frames[1, :, 0] = 255 - frames[1, :, 0]
    flow = np.zeros((1, 2, 24, 20), np.float32)
    flow[:, 0] = 1
    assert metrics.warping_error(frames, flow) == pytest.approx(0, abs=1e-4)


def test_psnr_of_a_known_error(texture: np.ndarray) -> None:
    grey = np.full_like(texture, 100)
    assert metrics.psnr(grey, grey + 10) == pytest.approx(20 * np.log10(25.5))
    assert metrics.psnr(texture, texture) == np.inf


def test_contrast_tells_a_collapsing_clip(texture: np.ndarray) -> None:
    grey = np.full_like(texture, 128)
    contrast = metrics.frame_contrast(np.stack([texture, grey]))
    assert contrast == pytest.approx([texture.std() / 255, 0], abs=1e-6)
