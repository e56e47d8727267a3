"""What a step was in ExVideo's released trainer, where the paper asks for SVD's own.

From DiffSynth-Studio v1.1.9, `examples/ExVideo/ExVideo_svd_train.py`, to compare with:

- sigma uniform over a Karras schedule of 1,000 steps: its median is 15.6, SVD's is 2.7;
- MSE(D, 1.01 x0) sqrt(sigma^2 + 1) / sigma, which counts an error of v sigma / sqrt(sigma^2 + 1);
- the clean first frame as the condition, its strength said to be 0;
- a frame rate that is always said to be 30.

Left out are the wrong factor of its latents (0.13025 for SVD's 0.18215), which is an error about
the VAE, and its own thresholds for motion buckets, which fitted its data.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from exvideo.training.objective import SIGMA_RANGE, Batch, precondition, unet_inputs

TARGET_SCALE = 1.01
"""Its `contrast_enhance_scale`, against grey videos."""

FPS = 30.0


def released_sigma(quantile: float) -> float:
    """Of the schedule's 1,000 noise levels the one at `quantile`, from (0, 1)."""
    low, high = (it ** (1 / 7) for it in SIGMA_RANGE)
    step = 999 - int(quantile * 1000)
    return float((high + step / 999 * (low - high)) ** 7)


def released_clip(clip: Mapping[str, Any]) -> dict[str, Any]:
    """A clip with the condition that its trainer would have shown: its own first latents."""
    latents = clip["latents"]
    return {
        **clip,
        "cond_latents": latents[:1],
        "noise_aug_strengths": torch.zeros(1),
        "fps": torch.tensor(FPS),
    }


def released_loss(unet: nn.Module, batch: Batch) -> Tensor:
    """Each clip's loss, in float32: [B]."""
    dtype = next(unet.parameters()).dtype
    (prediction,) = unet(**unet_inputs(batch, dtype), return_dict=False)
    sigma = batch.sigma[:, None, None, None, None]
    factors = precondition(sigma)
    noisy = batch.latents + sigma * batch.noise
    denoised = factors.c_skip * noisy + factors.c_out * prediction.float()
    errors = (denoised - TARGET_SCALE * batch.latents).square().flatten(1).mean(dim=1)
    return errors * (batch.sigma**2 + 1).sqrt() / batch.sigma
