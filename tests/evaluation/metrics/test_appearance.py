"""Metrics of what frames look like, each on a clip whose value is known."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from exvideo.evaluation import metrics
from tests.evaluation.metrics.made_clips import noisy, scrolled


@pytest.fixture
def texture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)


@pytest.fixture
def picture() -> np.ndarray:
    """Around mid-grey, within 8 to 248: rounding to whole levels is nothing against it."""
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(48, 48, 3)), (1, 1, 0))
    return 128 + 120 * noise / np.abs(noise).max()


@pytest.mark.parametrize("step", [(1, 0), (0, 2), (-3, 1)])
def test_warping_error_of_an_exact_shift_is_zero(
    texture: np.ndarray, step: tuple[int, int]
) -> None:
    frames = scrolled(texture, [step] * 3)
    flow = np.tile(np.array(step, np.float32)[:, None, None], (3, 1, 24, 20))
    assert metrics.warping_error(frames, flow) == pytest.approx(0, abs=1e-4)


def test_warping_error_of_a_wrong_flow_is_the_frames_difference(texture: np.ndarray) -> None:
    frames = scrolled(texture, [(1, 0)] * 2)
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


def test_warping_error_leaves_out_what_is_occluded(texture: np.ndarray) -> None:
    frames = np.stack([texture, texture])
    frames[1, :6] = 255 - frames[1, :6]
    still = np.zeros((1, 2, 24, 20), np.float32)
    visible = np.ones((1, 24, 20), bool)
    visible[:, :6] = False
    assert metrics.warping_error(frames, still) > 0.05
    assert metrics.warping_error(frames, still, visible) == pytest.approx(0, abs=1e-4)


def test_warping_error_is_undefined_where_no_pixel_is_seen_twice(texture: np.ndarray) -> None:
    frames = np.stack([texture, texture])
    assert np.isnan(metrics.warping_error(frames, np.full((1, 2, 24, 20), 99, np.float32)))


def test_temporal_flickering_is_one_less_the_mean_difference() -> None:
    frames = np.full((4, 8, 8, 3), 100, np.uint8)
    assert metrics.temporal_flickering(frames) == 1
    frames[1::2] += 51
    assert metrics.temporal_flickering(frames) == pytest.approx(0.8)
    assert np.isnan(metrics.temporal_flickering(frames[:1]))


def test_psnr_of_a_known_error(texture: np.ndarray) -> None:
    grey = np.full_like(texture, 100)
    assert metrics.psnr(grey, grey + 10) == pytest.approx(20 * np.log10(25.5))
    assert metrics.psnr(texture, texture) == np.inf


def test_ssim_of_two_plain_images_is_that_of_their_means() -> None:
    grey = np.full((16, 16, 3), 100, np.uint8)
    # Without structure, SSIM is its luminance term; C1 = (0.01 * 255)^2.
    expected = (2 * 100 * 120 + 6.5025) / (100**2 + 120**2 + 6.5025)
    assert metrics.ssim(grey, np.full_like(grey, 120)) == pytest.approx(expected)
    assert metrics.ssim(grey, grey) == 1
    assert np.isnan(metrics.ssim(grey[:6], grey[:6]))


def test_contrast_tells_a_collapsing_clip(texture: np.ndarray) -> None:
    grey = np.full_like(texture, 128)
    contrast = metrics.frame_contrast(np.stack([texture, grey]))
    assert contrast == pytest.approx([texture.std() / 255, 0], abs=1e-6)


def test_colour_drift_is_the_way_in_cielab() -> None:
    # The lightness of a grey is 116 (linear value)^(1/3) - 16: 50.03 and 60.32 for these two.
    frames = np.stack([np.full((8, 8, 3), level, np.uint8) for level in (119, 145)])
    assert metrics.colour_drift(frames) == pytest.approx(60.32 - 50.03, abs=0.1)


def test_colour_that_comes_back_has_not_drifted() -> None:
    frames = np.stack([np.full((8, 8, 3), level, np.uint8) for level in (100, 150, 150, 100)])
    assert metrics.colour_drift(frames) == pytest.approx(0, abs=1e-3)


def test_contrast_that_halves_drifts_by_one_power_of_two(picture: np.ndarray) -> None:
    fade = 2.0 ** -np.linspace(0, 1, 8)
    frames = np.stack([128 + share * (picture - 128) for share in fade]).round().astype(np.uint8)
    assert metrics.contrast_drift(frames) == pytest.approx(-1, abs=0.02)
    assert metrics.sharpness_drift(frames) == pytest.approx(0, abs=0.05)


def test_blur_is_a_drift_of_sharpness(picture: np.ndarray) -> None:
    textured = noisy(picture, 12)
    frames = np.stack([gaussian_filter(textured, (blur, blur, 0)) for blur in (0, 0.5, 1, 1.5)])
    assert metrics.sharpness_drift(frames) < -1
    assert metrics.sharpness_drift(frames[::-1]) == pytest.approx(-metrics.sharpness_drift(frames))


def test_a_frame_without_contrast_leaves_both_drifts_undefined() -> None:
    frames = np.full((4, 8, 8, 3), 90, np.uint8)
    assert np.isnan(metrics.contrast_drift(frames))
    assert np.isnan(metrics.sharpness_drift(frames))
    assert np.isnan(metrics.colour_drift(frames[:1])), "one frame cannot drift"


@pytest.mark.parametrize(
    ("colour", "grayness"), [((255, 0, 0), 0.0), ((77, 77, 77), 1.0), ((151, 100, 100), 0.8)]
)
def test_grayness_is_the_lack_of_chroma(colour: tuple[int, int, int], grayness: float) -> None:
    frames = np.broadcast_to(np.array(colour, np.uint8), (2, 4, 4, 3))
    assert metrics.grayness(frames) == pytest.approx(grayness)


def test_warping_error_reads_between_pixels() -> None:
    ramp = np.arange(0, 240, 10, dtype=np.uint8)
    frame = np.broadcast_to(ramp[None, :, None], (8, 24, 3)).copy()
    # Half a pixel to the right the ramp is 5 levels higher.
    flow = np.zeros((1, 2, 8, 24), np.float32)
    flow[:, 0] = 0.5
    assert metrics.warping_error(np.stack([frame, frame]), flow) == pytest.approx(5 / 255, rel=1e-4)
