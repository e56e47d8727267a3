"""What the published ExVideo weights need: their training saw latents of a wrong scale.

Training multiplied latents by 0.13025 (SDXL's factor), decoding divides by SVD's 0.18215, so clips
come out flat and grey. The authors' inference mends that in the latents before decoding.
"""

from typing import Any

import torch

PUBLISHED_SCALE = 0.13025

CONTRAST = 1.2
"""The authors' choice. 0.18215 / 0.13025 = 1.398 would undo the whole difference in scale, had the
weights learned all of it; how much they did is not known."""


def is_published(pipeline: Any) -> bool:
    """Whether a pipeline's U-Net was trained at that scale, in whatever form it was loaded."""
    trained = pipeline.unet.config.get("post_tuning") or {}
    return trained.get("scaling_factor") == PUBLISHED_SCALE


def mend_contrast(latents: torch.Tensor, contrast: float = CONTRAST) -> torch.Tensor:
    """Scaled latents [B, T, C, h, w] as the published weights need them before decoding.

    Each frame gets its clip's mean and standard deviation over C, h and w, which removes flicker
    (and real changes of brightness), then everything is multiplied by `contrast`.
    """
    frame, clip = (2, 3, 4), (1, 2, 3, 4)
    x = latents.float()
    normal = (x - x.mean(frame, keepdim=True)) / x.std(frame, keepdim=True)
    mended = normal * x.std(clip, keepdim=True) + x.mean(clip, keepdim=True)
    return (contrast * mended).to(latents.dtype)
