"""SDEdit with the same weights, at another size."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableVideoDiffusionPipeline

from exvideo.generation import Sampling, second_pass
from exvideo.generation.second_pass import encode, truncated_sigmas

SAMPLING = Sampling(steps=3, guidance=(1.0, 1.0))


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)


def test_the_whole_schedule_is_the_schedulers_own(pipeline: StableVideoDiffusionPipeline) -> None:
    scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(10)
    ours = truncated_sigmas(pipeline, 10, strength=1.0)
    np.testing.assert_allclose(ours, scheduler.sigmas.numpy(), rtol=1e-4)


def test_half_strength_starts_where_the_original_does(
    pipeline: StableVideoDiffusionPipeline,
) -> None:
    sigmas = truncated_sigmas(pipeline, 25, strength=0.5)
    assert len(sigmas) == 26
    assert sigmas[0] == pytest.approx(15.6, abs=0.05)
    assert sigmas[-2:] == [pytest.approx(0.002), 0.0]


def test_it_enlarges_a_clip_deterministically(
    pipeline: StableVideoDiffusionPipeline, frames: np.ndarray
) -> None:
    first, again = (
        second_pass(pipeline, frames, frames[0], height=48, width=64, sampling=SAMPLING)
        for _ in range(2)
    )
    assert first.shape == (5, 48, 64, 3)
    np.testing.assert_array_equal(first, again)


def test_a_perfect_denoiser_gets_the_clip_back(
    pipeline: StableVideoDiffusionPipeline, frames: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a U-Net that knows the clean latents, only the VAE stands between input and output."""
    clean = pipeline.vae.config.scaling_factor * encode(pipeline, frames, 32, 32, 8)

    def oracle(sample: torch.Tensor, *_: object, **__: object) -> tuple[torch.Tensor]:
        # x = sqrt(s^2+1) * input; D = -s/sqrt(s^2+1) F + x/(s^2+1) is to be the clean latents.
        sigma = pipeline.scheduler.sigmas[pipeline.scheduler.step_index]
        norm = (sigma**2 + 1) ** 0.5
        return ((sample[:, :, :4] / norm - clean) * norm / sigma,)

    monkeypatch.setitem(vars(pipeline.unet), "forward", oracle)
    result = second_pass(pipeline, frames, frames[0], height=32, width=32, sampling=SAMPLING)
    video = pipeline.decode_latents(clean, 5, 8)[0].detach()
    expected = ((video / 2 + 0.5).clamp(0, 1) * 255).permute(1, 2, 3, 0).numpy()
    assert np.abs(result - expected).max() < 2


def test_published_weights_see_latents_of_their_own_scale(
    pipeline: StableVideoDiffusionPipeline, frames: np.ndarray
) -> None:
    seen = []
    hook = pipeline.unet.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for published in (False, True):
        sampling = replace(SAMPLING, published_weights=published)
        options = {"height": 32, "width": 32, "strength": 1e-3, "sampling": sampling}
        second_pass(pipeline, frames, frames[0], **options)
    hook.remove()
    assert (seen[3][:, :, :4].std() / seen[0][:, :, :4].std()).item() == pytest.approx(
        0.13025 / 0.18215, rel=0.02
    )


@pytest.mark.parametrize("strength", [0.0, 1.2])
def test_a_strength_off_the_schedule_is_refused(
    pipeline: StableVideoDiffusionPipeline, frames: np.ndarray, strength: float
) -> None:
    with pytest.raises(ValueError, match="strength must lie above 0"):
        second_pass(pipeline, frames, frames[0], height=32, width=32, strength=strength)
