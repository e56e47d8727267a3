"""Image to video at any length, through diffusers' own pipeline."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import (
    StableVideoDiffusionPipeline,
)
from PIL import Image, ImageOps

from exvideo.config.base_folder import check_size
from exvideo.errors import InputError
from exvideo.generation.frame_size import fitting_size, native_area, size_unit
from exvideo.generation.published_weights import mend_contrast

OnStep = Callable[[int, int], None]
"""Called with the steps done and their total."""


class GenerationError(InputError):
    """A clip cannot be generated, or came out unusable; the message says why."""


@dataclass(frozen=True)
class Sampling:
    """How a clip is drawn from the model."""

    steps: int = 25
    guidance: tuple[float, float] = (1.0, 3.0)
    """Classifier-free guidance at the first and the last frame, linear in between. With at most
    1 at the last frame, guidance and its second forward pass are left out."""
    fps: int = 7
    motion_bucket_id: int = 127
    noise_aug_strength: float = 0.02
    """Standard deviation of the noise on the conditioning frame, whose pixels are in [-1, 1]."""
    decode_chunk_size: int = 8
    """Frames that pass through the VAE at a time."""
    seed: int = 0
    """The same noise on every device."""
    published_weights: bool = False
    """Mend the contrast as the published ExVideo weights need it."""

    def __post_init__(self) -> None:
        first, last = self.guidance
        if last <= 1 < first:
            # diffusers prepares guidance by the last frame and applies it by the strongest.
            raise InputError(
                f"guidance falls from {first:g} at the first frame to {last:g} at the last, where "
                "there is none: keep both above 1 or both at most at 1"
            )


def image_to_video(
    pipeline: StableVideoDiffusionPipeline,
    image: Image.Image | np.ndarray,
    *,
    num_frames: int | None = None,
    height: int | None = None,
    width: int | None = None,
    sampling: Sampling | None = None,
    on_step: OnStep | None = None,
) -> np.ndarray:
    """Let `image` move. Returns uint8 [T, H, W, 3]; the same arguments give the same clip.

    Args:
        pipeline: a base, or one whose U-Net is extended (`exvideo.generation.load_model`).
        image: the first frame, PIL or uint8 [H, W, 3]; cut to the clip's aspect ratio and
            resized.
        num_frames: the U-Net's own length by default.
        height, width: multiples of `size_unit`, 64 for SVD; by default the image's aspect ratio
            at the base's own area.

    Raises:
        InputError: for sizes and lengths that the model can't take.
        GenerationError: where the frames come out non-finite or without any contrast.
    """
    first_frame = as_image(image)
    unit = size_unit(pipeline)
    if height is None or width is None:
        aspect = first_frame.width / first_frame.height
        height, width = fitting_size(aspect, native_area(pipeline), unit)
    check_size(height, width, unit)
    config = pipeline.unet.config
    num_frames = num_frames or config.num_frames
    if "extension" in config and num_frames > config.num_frames:
        raise InputError(
            f"the model is extended to {config.num_frames} frames, not to {num_frames}: ask for "
            "fewer, or resize its table (exvideo.models.resize)"
        )
    sampling = sampling or Sampling()
    latents = sample_latents(
        pipeline,
        ImageOps.fit(first_frame, (width, height), Image.Resampling.LANCZOS),
        num_frames,
        sampling,
        on_step,
    )
    return decode(pipeline, latents, sampling)


def sample_latents(
    pipeline: StableVideoDiffusionPipeline,
    first_frame: Image.Image,
    num_frames: int,
    sampling: Sampling,
    on_step: OnStep | None = None,
    **start: Any,
) -> torch.Tensor:
    """The sampler's result, scaled latents [1, T, 4, h, w], at the first frame's size.

    `start` may hold diffusers' `sigmas` and `latents`, to start in the middle of the schedule.
    """
    total = len(start["sigmas"]) - 1 if "sigmas" in start else sampling.steps

    def report(_pipeline: object, step: int, _timestep: object, tensors: dict) -> dict:
        if on_step is not None:
            on_step(step + 1, total)
        return tensors

    pipeline.set_progress_bar_config(disable=True)
    return pipeline(
        first_frame,
        height=first_frame.height,
        width=first_frame.width,
        num_frames=num_frames,
        num_inference_steps=sampling.steps,
        min_guidance_scale=sampling.guidance[0],
        max_guidance_scale=sampling.guidance[1],
        fps=sampling.fps,
        motion_bucket_id=sampling.motion_bucket_id,
        noise_aug_strength=sampling.noise_aug_strength,
        generator=torch.Generator().manual_seed(sampling.seed),
        output_type="latent",
        callback_on_step_end=report,
        **start,
    ).frames


@torch.inference_mode()
def decode(
    pipeline: StableVideoDiffusionPipeline, latents: torch.Tensor, sampling: Sampling
) -> np.ndarray:
    """One clip's scaled latents [1, T, 4, h, w] to uint8 frames [T, H, W, 3]."""
    if not torch.isfinite(latents).all():
        raise GenerationError("the latents are not finite: the U-Net's weights have diverged")
    if sampling.published_weights:
        latents = mend_contrast(latents)
    latents = latents.to(pipeline.vae.dtype)
    video = pipeline.decode_latents(latents, latents.shape[1], sampling.decode_chunk_size)[0]
    if not torch.isfinite(video).all():
        raise GenerationError("the frames are not finite: decode with the VAE in float32")
    frames = ((video / 2 + 0.5).clamp(0, 1) * 255).round().byte().permute(1, 2, 3, 0).cpu().numpy()
    if frames.min() == frames.max():
        raise GenerationError(f"every pixel of the clip is {frames.min()}: the model makes nothing")
    return frames


def as_image(image: Image.Image | np.ndarray) -> Image.Image:
    """PIL's RGB image of a PIL image of any mode or of uint8 [H, W, 3]."""
    if isinstance(image, Image.Image):
        return ImageOps.exif_transpose(image).convert("RGB")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(f"an image is uint8 [H, W, 3], not {image.dtype} {image.shape}")
    return Image.fromarray(image)
