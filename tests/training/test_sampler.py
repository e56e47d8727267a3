"""The trainer's own sampler draws what diffusers' pipeline draws."""

from typing import Any

import pytest
import torch
from PIL import Image

from exvideo.generation.unet_calls import wrapped
from exvideo.models.base import load_pipeline
from exvideo.training.objective import Batch
from exvideo.training.sampler import noise_levels, sample_latents
from exvideo.training.validation import Interrupted
from tests.training.tiny import BASE, NUM_FRAMES

STEPS = 5
GUIDANCE = (1.0, 3.0)


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return load_pipeline(BASE)


def drawn_by_diffusers(pipeline: Any, noise: torch.Tensor, guidance: tuple[float, float]) -> Any:
    """The pipeline's latents and the first inputs of its U-Net, of which guidance doubles each."""
    calls: list[dict[str, torch.Tensor]] = []

    def remember(forward: Any) -> Any:
        def call(sample: torch.Tensor, timestep: torch.Tensor, **inputs: Any) -> Any:
            calls.append({"sample": sample, **inputs})
            return forward(sample, timestep, **inputs)

        return call

    pipeline.set_progress_bar_config(disable=True)
    with wrapped(pipeline.unet, remember):
        latents = pipeline(
            Image.linear_gradient("L").convert("RGB").resize((32, 32)),
            height=32,
            width=32,
            num_frames=NUM_FRAMES,
            num_inference_steps=STEPS,
            min_guidance_scale=guidance[0],
            max_guidance_scale=guidance[1],
            latents=noise.clone(),
            output_type="latent",
            generator=torch.Generator().manual_seed(0),
        ).frames
    return latents, calls[0]


@pytest.mark.parametrize("guidance", [GUIDANCE, (1.0, 1.0)])
def test_latents_are_those_of_diffusers_pipeline(
    pipeline: Any, guidance: tuple[float, float]
) -> None:
    factor = 2 ** (len(pipeline.vae.config.block_out_channels) - 1)
    noise = torch.randn(1, NUM_FRAMES, 4, 32 // factor, 32 // factor)
    expected, first = drawn_by_diffusers(pipeline, noise, guidance)
    conditions = Batch(
        latents=torch.full_like(noise, torch.nan),
        noise=noise,
        sigma=torch.ones(1),
        cond_latents=first["sample"][-1:, 0, 4:],
        image_embeds=first["encoder_hidden_states"][-1:, 0],
        added_time_ids=first["added_time_ids"][-1:],
    )
    sigmas, scale = noise_levels(BASE, STEPS)
    strength = torch.linspace(*guidance, NUM_FRAMES)
    got = sample_latents(pipeline.unet, conditions, sigmas, scale, strength, lambda: None)
    assert torch.allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_who_is_called_before_each_step_can_end_it(pipeline: Any) -> None:
    noise = torch.randn(1, NUM_FRAMES, 4, 16, 16)
    seen: list[int] = []

    def on_step() -> None:
        seen.append(1)
        if len(seen) == 3:
            raise Interrupted

    conditions = Batch(
        latents=noise,
        noise=noise,
        sigma=torch.ones(1),
        cond_latents=torch.zeros(1, 4, 16, 16),
        image_embeds=torch.zeros(1, 32),
        added_time_ids=torch.zeros(1, 3),
    )
    with pytest.raises(Interrupted):
        sample_latents(
            pipeline.unet, conditions, *noise_levels(BASE, STEPS), torch.ones(NUM_FRAMES), on_step
        )
    assert len(seen) == 3
