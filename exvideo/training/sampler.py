"""A clip drawn from the model in training, from a cached clip's own conditions."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from torch import Tensor, nn

from exvideo.config import BaseModelConfig
from exvideo.config.base_weights import folder
from exvideo.training.objective import Batch, precondition, unet_inputs


def noise_levels(base: BaseModelConfig, steps: int) -> tuple[list[float], float]:
    """The base's own schedule: `steps` sigmas, falling, then zero; and the first noise's scale."""
    scheduler = EulerDiscreteScheduler.from_pretrained(folder(base), subfolder="scheduler")
    scheduler.set_timesteps(steps)
    return scheduler.sigmas.tolist(), float(scheduler.init_noise_sigma)


@torch.no_grad()
def sample_latents(
    unet: nn.Module,
    conditions: Batch,
    sigmas: Sequence[float],
    scale: float,
    guidance: Tensor,
    on_step: Callable[[], None],
) -> Tensor:
    """Euler's method from noise to latents, as `EulerDiscreteScheduler` does it (EDM, algorithm 2
    without churn).

    Args:
        unet: a U-Net or the engine round one.
        conditions: of its clips, `noise` is what the sampling begins with; `latents` aren't looked
            at.
        sigmas: falling, the last one 0.
        scale: of the first noise.
        guidance: classifier-free guidance's strength at each frame, [T]; 1 is none.
        on_step: called before each step; what it raises ends the sampling.

    Returns scaled latents, float32 [B, T, 4, h, w].
    """
    dtype = next(unet.parameters()).dtype
    strength = guidance.to(conditions.noise).view(1, -1, 1, 1, 1)
    x = conditions.noise * scale
    nothing = torch.zeros_like(x)
    null = {
        "cond_latents": torch.zeros_like(conditions.cond_latents),
        "image_embeds": torch.zeros_like(conditions.image_embeds),
    }
    for sigma, following in pairwise(sigmas):
        on_step()
        level = torch.full_like(conditions.sigma, sigma)
        now = replace(conditions, latents=x, noise=nothing, sigma=level)
        (prediction,) = unet(**unet_inputs(now, dtype), return_dict=False)
        if strength.max() > 1:
            (without,) = unet(**unet_inputs(replace(now, **null), dtype), return_dict=False)
            prediction = without.float() + strength * (prediction.float() - without.float())
        factors = precondition(level.view(-1, 1, 1, 1, 1))
        denoised = factors.c_skip * x + factors.c_out * prediction.float()
        x = x + (following - sigma) / sigma * (x - denoised)
    return x
