"""A second pass at a higher resolution: SDEdit (Meng et al., 2022) with the same weights."""

from dataclasses import replace

import numpy as np
import torch
from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import (
    StableVideoDiffusionPipeline,
)
from PIL import Image, ImageOps
from torch.nn import functional as F

from exvideo.config.base_folder import check_size
from exvideo.generation.frame_size import size_unit
from exvideo.generation.image_to_video import OnStep, Sampling, as_image, decode, sample_latents
from exvideo.generation.published_weights import PUBLISHED_SCALE

RHO = 7.0
"""Of Karras' schedule, as SVD samples."""


def second_pass(
    pipeline: StableVideoDiffusionPipeline,
    frames: np.ndarray,
    image: Image.Image | np.ndarray,
    *,
    height: int,
    width: int,
    strength: float = 0.5,
    sampling: Sampling | None = None,
    on_step: OnStep | None = None,
) -> np.ndarray:
    """Draw a clip's details again at another size: resize, encode, add noise, denoise.

    Args:
        frames: the first pass, uint8 [T, H, W, 3].
        image: what the first pass started from, at its full resolution.
        strength: where in the schedule to start, from 0 (keep everything) to 1 (keep nothing);
            all of `sampling.steps` are spent below that. At 0.5, SVD starts at sigma 15.6.

    Returns uint8 [T, height, width, 3].
    """
    check_size(height, width, size_unit(pipeline))
    if not 0 < strength <= 1:
        raise ValueError(f"strength must lie above 0 and at most at 1, not {strength}")
    sampling = sampling or Sampling()
    sigmas = truncated_sigmas(pipeline, sampling.steps, strength)
    scale = PUBLISHED_SCALE if sampling.published_weights else pipeline.vae.config.scaling_factor
    clean = scale * encode(pipeline, frames, height, width, sampling.decode_chunk_size)
    generator = torch.Generator().manual_seed(sampling.seed)
    noise = torch.randn(clean.shape, generator=generator).to(clean)
    # The pipeline multiplies what it is given by this again.
    pipeline.scheduler.set_timesteps(sigmas=sigmas)
    noised = (clean + sigmas[0] * noise) / pipeline.scheduler.init_noise_sigma
    latents = sample_latents(
        pipeline,
        ImageOps.fit(as_image(image), (width, height), Image.Resampling.LANCZOS),
        len(frames),
        # Not the noise on the latents once more.
        replace(sampling, seed=sampling.seed + 1),
        on_step,
        sigmas=sigmas,
        latents=noised.to(pipeline.unet.dtype),
    )
    return decode(pipeline, latents, sampling)


def truncated_sigmas(
    pipeline: StableVideoDiffusionPipeline, steps: int, strength: float
) -> list[float]:
    """`steps` sigmas of Karras' ramp from the share 1 - strength of it to its end, and 0."""
    config = pipeline.scheduler.config
    ramp = np.linspace(1 - strength, 1, steps)
    first, last = (sigma ** (1 / RHO) for sigma in (config.sigma_max, config.sigma_min))
    return [*((first + ramp * (last - first)) ** RHO).tolist(), 0.0]


@torch.inference_mode()
def encode(
    pipeline: StableVideoDiffusionPipeline,
    frames: np.ndarray,
    height: int,
    width: int,
    chunk_size: int,
) -> torch.Tensor:
    """uint8 frames [T, H, W, 3] to unscaled latents [1, T, 4, h, w] at another size."""
    vae, device = pipeline.vae, pipeline._execution_device  # the VAE's own may be offloaded
    latents = []
    for start in range(0, len(frames), chunk_size):
        chunk = torch.from_numpy(frames[start : start + chunk_size]).permute(0, 3, 1, 2)
        pixels = chunk.to(device, torch.float32) / 127.5 - 1
        pixels = F.interpolate(pixels, (height, width), mode="bicubic", antialias=True)
        latents.append(vae.encode(pixels.clamp(-1, 1).to(vae.dtype)).latent_dist.mode())
    return torch.cat(latents)[None].float()
