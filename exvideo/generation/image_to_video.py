"""Image to video at any length, through diffusers' own pipeline."""

from collections.abc import Callable

import numpy as np
import torch
from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import (
    StableVideoDiffusionPipeline,
)
from PIL import Image, ImageOps

from exvideo.errors import InputError


class GenerationError(InputError):
    """A clip cannot be generated, or came out unusable; the message says why."""


def image_to_video(
    pipeline: StableVideoDiffusionPipeline,
    image: Image.Image | np.ndarray,
    *,
    num_frames: int | None = None,
    height: int | None = None,
    width: int | None = None,
    steps: int = 25,
    guidance: tuple[float, float] = (1.0, 3.0),
    fps: int = 7,
    motion_bucket_id: int = 127,
    noise_aug_strength: float = 0.02,
    decode_chunk_size: int = 8,
    seed: int = 0,
    on_step: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Let `image` move. Returns uint8 [T, H, W, 3]; the same arguments give the same clip.

    Args:
        pipeline: a base, or one whose U-Net is extended (`exvideo.generation.load_model`).
        image: the first frame, PIL or uint8 [H, W, 3]; cut to the clip's aspect ratio and
            resized.
        num_frames: the U-Net's own length by default.
        height, width: multiples of `size_unit`, 64 for SVD; the image's own, rounded, by default.
        steps: of the sampler.
        guidance: classifier-free guidance at the first and the last frame, linear in between.
            With at most 1 at the last frame, guidance and its second forward pass are left out.
        fps, motion_bucket_id: conditions that the base was trained with.
        noise_aug_strength: standard deviation of the noise on the conditioning frame, [-1, 1].
        decode_chunk_size: frames that pass through the VAE's decoder at a time.
        seed: of the initial noise, the same on every device.
        on_step: called with the steps done and their total.

    Raises:
        GenerationError: for sizes that the model can't take, and where the frames come out
            non-finite or without any contrast.
    """
    first_frame = as_image(image)
    unit = size_unit(pipeline)
    height = height or rounded(first_frame.height, unit)
    width = width or rounded(first_frame.width, unit)
    check_size(pipeline, height, width)

    def report(_pipeline: object, step: int, _timestep: object, tensors: dict) -> dict:
        if on_step is not None:
            on_step(step + 1, steps)
        return tensors

    pipeline.set_progress_bar_config(disable=True)
    latents = pipeline(
        ImageOps.fit(first_frame, (width, height), Image.Resampling.LANCZOS),
        height=height,
        width=width,
        num_frames=num_frames,
        num_inference_steps=steps,
        min_guidance_scale=guidance[0],
        max_guidance_scale=guidance[1],
        fps=fps,
        motion_bucket_id=motion_bucket_id,
        noise_aug_strength=noise_aug_strength,
        generator=torch.Generator().manual_seed(seed),
        output_type="latent",
        callback_on_step_end=report,
    ).frames
    return decode(pipeline, latents, decode_chunk_size)


@torch.inference_mode()
def decode(
    pipeline: StableVideoDiffusionPipeline, latents: torch.Tensor, chunk_size: int
) -> np.ndarray:
    """One clip's scaled latents [1, T, 4, h, w] to uint8 frames [T, H, W, 3]."""
    if not torch.isfinite(latents).all():
        raise GenerationError("the latents are not finite: the U-Net's weights have diverged")
    latents = latents.to(pipeline.vae.dtype)
    video = pipeline.decode_latents(latents, latents.shape[1], chunk_size)[0]
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
        raise GenerationError(f"an image is uint8 [H, W, 3], not {image.dtype} {image.shape}")
    return Image.fromarray(image)


def check_size(pipeline: StableVideoDiffusionPipeline, height: int, width: int) -> None:
    """Refuse sizes that the U-Net's downsampling doesn't divide: 64 pixels for SVD."""
    unit = size_unit(pipeline)
    if height % unit or width % unit or not height or not width:
        raise GenerationError(f"height {height} and width {width} must be multiples of {unit}")


def size_unit(pipeline: StableVideoDiffusionPipeline) -> int:
    """Pixels that one position at the U-Net's lowest level stands for."""
    return pipeline.vae_scale_factor * 2 ** (len(pipeline.unet.config.block_out_channels) - 1)


def rounded(size: int, unit: int) -> int:
    """The multiple of `unit` nearest to `size`, at least one."""
    return max(unit, round(size / unit) * unit)
