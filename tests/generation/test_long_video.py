"""Long clips from a base without training."""

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableVideoDiffusionPipeline
from scipy.ndimage import gaussian_filter

from exvideo.evaluation.metrics import psnr
from exvideo.generation import BASELINES, Sampling, image_to_video
from exvideo.generation.long_video import in_windows, interpolate, squeezed_positions
from exvideo.models import load_pipeline
from tests.models.tiny import TINY_SVD, clip_inputs, run, tiny_unet

SMALL: dict[str, Any] = {
    "height": 32,
    "width": 32,
    "sampling": Sampling(steps=1, guidance=(1.0, 1.0)),
}


@pytest.fixture(scope="module")
def base() -> StableVideoDiffusionPipeline:
    """A random base of 8 frames."""
    return load_pipeline(TINY_SVD)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_makes_the_asked_length(
    base: StableVideoDiffusionPipeline, picture: np.ndarray, name: str
) -> None:
    assert BASELINES[name](base, picture, 17, **SMALL).shape == (17, 32, 32, 3)
    assert "forward" not in vars(base.unet), "the base is left as it was"


@pytest.mark.parametrize("name", BASELINES)
def test_at_the_native_length_every_baseline_is_the_base(
    base: StableVideoDiffusionPipeline, picture: np.ndarray, name: str
) -> None:
    expected = image_to_video(base, picture, num_frames=8, **SMALL)
    np.testing.assert_array_equal(BASELINES[name](base, picture, 8, **SMALL), expected)


def test_autoregressive_parts_go_on_from_the_last_frame(
    base: StableVideoDiffusionPipeline, picture: np.ndarray
) -> None:
    clip = BASELINES["autoregressive"](base, picture, 15, **SMALL)
    sampling = Sampling(steps=1, guidance=(1.0, 1.0), seed=1)
    second = image_to_video(base, clip[7], num_frames=8, **{**SMALL, "sampling": sampling})
    np.testing.assert_array_equal(clip[8:], second[1:])


def test_autoregressive_steps_are_counted_over_all_parts(
    base: StableVideoDiffusionPipeline, picture: np.ndarray
) -> None:
    seen: list[tuple[int, int]] = []
    BASELINES["autoregressive"](base, picture, 15, on_step=lambda *step: seen.append(step), **SMALL)
    assert seen == [(1, 2), (2, 2)]


def test_windows_of_a_frame_by_frame_model_change_nothing() -> None:
    sample = torch.randn(2, 11, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    call = in_windows(lambda x, **_: (2 * x + 1,), length=4, stride=3)
    torch.testing.assert_close(call(sample)[0], 2 * sample + 1)


def test_overlapping_windows_are_averaged_with_most_weight_in_their_middle() -> None:
    windows = iter([0.0, 1.0, 4.0])

    def number_the_windows(x: torch.Tensor, **_: object) -> tuple[torch.Tensor]:
        return (torch.full_like(x, next(windows)),)

    call = in_windows(number_the_windows, length=4, stride=2)
    frames = call(torch.zeros(1, 8, 1, 1, 1))[0].flatten().tolist()
    # Weights within a window are 1 2 2 1; windows start at 0, 2 and 4.
    assert frames == pytest.approx([0, 0, 1 / 3, 2 / 3, (2 + 4) / 3, (1 + 8) / 3, 4, 4])


@torch.no_grad()
def test_squeezed_positions_are_the_native_ones_at_a_fraction_of_their_distance() -> None:
    unet = tiny_unet(native_frames=8).eval()
    seen = []
    time_proj = unet.mid_block.attentions[0].time_proj
    inputs = clip_inputs(batch=1, frames=16)
    before = run(unet, *inputs)
    with squeezed_positions(unet, 0.5):
        watch = time_proj.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        run(unet, *inputs)
        watch.remove()
    torch.testing.assert_close(seen[0], torch.arange(16) / 2)
    torch.testing.assert_close(run(unet, *inputs), before)


def test_interpolation_keeps_the_given_frames_and_moves_in_between() -> None:
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(80, 80, 3)), (2, 2, 0))
    still = np.uint8(np.clip(128 + 600 * noise, 0, 255))
    pan = np.stack([np.roll(still, 4 * t, axis=1) for t in range(3)])
    drawn_out = interpolate(pan, 9)
    np.testing.assert_array_equal(drawn_out[::4], pan)
    inner = slice(16, -16)
    for t, frame in enumerate(drawn_out):
        truth = np.roll(still, t, axis=1)[inner, inner]
        blend = np.uint8((1 - t % 4 / 4) * pan[t // 4] + t % 4 / 4 * pan[min(t // 4 + 1, 2)])
        if t % 4:
            assert psnr(frame[inner, inner], truth) > psnr(blend[inner, inner], truth) + 6
