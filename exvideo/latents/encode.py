"""From a clip's frames to its latent row: VAE means, CLIP embedding, noised first frames."""

import hashlib
import logging
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import (
    _resize_with_antialiasing,
)
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from exvideo.config import BaseModelConfig
from exvideo.latents.manifest import Encoding
from exvideo.latents.schema import DTYPE, LatentRow, NotFiniteError, TensorShapes, lossless
from exvideo.models import load_image_encoder, load_vae

NOISE_AUG_MEAN, NOISE_AUG_STD = -3.0, 0.5
"""ln(strength) ~ N(mean, std^2): SVD's noise on the conditioning frame."""

CLIP_SIZE = 224
"""The side that diffusers' pipeline resizes to, whatever the image encoder."""


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedClip:
    """A clip's pixels and noise, on the encoder's device or on their way to it."""

    clip_id: str
    noise_aug_strengths: torch.Tensor
    """[K], on the host."""
    noise: torch.Tensor
    """[K,3,H,W], each times its strength."""
    frames: torch.Tensor
    """uint8 [T,H,W,3]"""
    first_frame: bytes
    """`frames[0]` as a picture."""
    copied: torch.cuda.Event | None = None
    """On CUDA: when they have arrived."""


@dataclass(frozen=True)
class EncodedClip:
    """A row's tensors on the encoder's device."""

    clip_id: str
    noise_aug_strengths: torch.Tensor
    first_frame: bytes
    image_embeds: torch.Tensor
    cond_latents: torch.Tensor
    latents: torch.Tensor
    log_variances: torch.Tensor | None
    began: Any
    """When the device took it up: a `float` in seconds, or an event of its stream."""
    ended: Any

    def seconds(self) -> float:
        """What the device took for it; waits for the device."""
        if isinstance(self.began, float):
            return float(self.ended - self.began)
        self.ended.synchronize()
        return float(self.began.elapsed_time(self.ended)) / 1e3

    def row(self) -> LatentRow:
        """The row as it is stored; waits for the device. Raises `NotFiniteError`."""
        return LatentRow(
            clip_id=self.clip_id,
            noise_aug_strengths=self.noise_aug_strengths.numpy(),
            first_frame=self.first_frame,
            image_embeds=_stored("image_embeds", self.image_embeds),
            cond_latents=_stored("cond_latents", self.cond_latents),
            latents=_stored("latents", self.latents),
            log_variances=None
            if self.log_variances is None
            else _stored("log_variances", self.log_variances),
        )


class ClipEncoder:
    """A base model's VAE and CLIP image encoder, ready to encode clips."""

    def __init__(self, base: BaseModelConfig, encoding: Encoding, device: torch.device) -> None:
        self.device = device
        self.frames_per_batch = encoding.frames_per_batch
        """Halved where the device's memory does not suffice."""
        self.noise_augmentations = encoding.noise_augmentations
        self.log_variance = encoding.log_variance
        vae: Any = load_vae(base, getattr(torch, encoding.dtype))
        self.vae = vae.to(device).eval()
        # One frame a clip: precision costs nothing here.
        image_encoder: Any
        image_encoder, self.processor = load_image_encoder(base, torch.float32)
        self.image_encoder = image_encoder.to(device).eval()
        self._copies = torch.cuda.Stream(device) if device.type == "cuda" else None

    @property
    def scaling_factor(self) -> float:
        return float(self.vae.config.scaling_factor)

    def shapes(self, num_frames: int, height: int, width: int) -> TensorShapes:
        """Shapes of the rows of clips of this size."""
        downscale = 2 ** (len(self.vae.config.block_out_channels) - 1)
        latent = (self.vae.config.latent_channels, height // downscale, width // downscale)
        return TensorShapes(
            latents=(num_frames, *latent),
            image_embeds=(self.image_encoder.config.projection_dim,),
            cond_latents=(self.noise_augmentations, *latent),
            log_variances=(num_frames, *latent) if self.log_variance else None,
        )

    def prepare(self, clip_id: str, frames: np.ndarray) -> PreparedClip:
        """A clip on its way to the device, frames uint8 [T,H,W,3], with its noise.

        Any thread may, while another one encodes.
        """
        strengths, noise = draw_noise(clip_id, self.noise_augmentations, (3, *frames.shape[1:3]))
        noise *= strengths[:, None, None, None]
        picture = lossless(frames[0])
        clip = PreparedClip(clip_id, strengths, noise, torch.from_numpy(frames), picture)
        if self._copies is None:
            return clip
        # From pageable memory, or on the encoder's stream, one would wait for the other.
        with torch.cuda.stream(self._copies):
            copied = replace(
                clip,
                noise=noise.pin_memory().to(self.device, non_blocking=True),
                frames=clip.frames.pin_memory().to(self.device, non_blocking=True),
            )
            return replace(copied, copied=self._copies.record_event())

    @torch.inference_mode()
    def forward(self, clip: PreparedClip) -> EncodedClip:
        """The clip's tensors on the device, which may still be at work on them."""
        if clip.copied is not None:
            encoding = torch.cuda.current_stream(self.device)
            encoding.wait_event(clip.copied)
            clip.frames.record_stream(encoding)
            clip.noise.record_stream(encoding)
        began = self._now()
        pixels = to_pixels(clip.frames)
        cond_latents, _ = self._posteriors(pixels[:1] + clip.noise)
        latents, log_variances = self._posteriors(pixels)
        embeds = image_embeds(pixels[:1], self.image_encoder, self.processor)[0]
        return EncodedClip(
            clip_id=clip.clip_id,
            noise_aug_strengths=clip.noise_aug_strengths,
            first_frame=clip.first_frame,
            image_embeds=embeds,
            cond_latents=cond_latents,
            latents=latents,
            log_variances=log_variances if self.log_variance else None,
            began=began,
            ended=self._now(),
        )

    def _now(self) -> float | torch.cuda.Event:
        if self.device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self.device))
        return event

    def encode(self, clip_id: str, frames: np.ndarray) -> LatentRow:
        """The row of a clip, frames uint8 [T,H,W,3].

        Equal ids and frames give equal rows: the noise is drawn from the clip's id.

        Raises `NotFiniteError` where a tensor has values that cannot be stored.
        """
        return self.forward(self.prepare(clip_id, frames)).row()

    def _posteriors(self, pixels: torch.Tensor) -> torch.Tensor:
        """Means and log-variances, [2,T,C,h,w]."""
        encoded: list[torch.Tensor] = []
        done = 0
        while done < len(pixels):
            batch = pixels[done : done + self.frames_per_batch]
            moments = self._posteriors_if_they_fit(batch)
            if moments is not None:
                encoded.append(moments)
                done += len(batch)
        return torch.cat(encoded, dim=1)

    def _posteriors_if_they_fit(self, batch: torch.Tensor) -> torch.Tensor | None:
        """The batch's posteriors, or None and fewer frames a batch from now on."""
        try:
            return posteriors(batch, self.vae)
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise
        # Not in the handler, whose traceback holds on to what did not fit.
        self.frames_per_batch = len(batch) // 2
        _log.warning("out of memory: %d frames a batch from now on", self.frames_per_batch)
        torch.cuda.empty_cache()
        return None


def to_pixels(frames: torch.Tensor) -> torch.Tensor:
    """uint8 [T,H,W,3] to float32 [T,3,H,W] in [-1, 1]."""
    return frames.permute(0, 3, 1, 2).float() / 255 * 2 - 1


def posteriors(pixels: torch.Tensor, vae: Any) -> torch.Tensor:
    """Raw posterior means and log-variances [2,T,C,h,w] of pixels [T,3,H,W] in [-1, 1], by
    diffusers' `vae`.

    Not times the scaling factor: that is what conditions the U-Net, and the factor is a property
    of the model and not of the data.
    """
    posterior = vae.encode(pixels.to(vae.dtype)).latent_dist
    return torch.stack((posterior.mean, posterior.logvar))


def posterior_means(pixels: torch.Tensor, vae: Any) -> torch.Tensor:
    """The first of `posteriors`, [T,C,h,w]."""
    return posteriors(pixels, vae)[0]


def image_embeds(
    pixels: torch.Tensor,
    image_encoder: CLIPVisionModelWithProjection,
    processor: CLIPImageProcessor,
) -> torch.Tensor:
    """CLIP's projected embeddings [B,D] of pixels [B,3,H,W] in [-1, 1].

    Prepared as diffusers' `StableVideoDiffusionPipeline` does: resized with antialiasing while
    in [-1, 1], then normalised.
    """
    resized = _resize_with_antialiasing(pixels, (CLIP_SIZE, CLIP_SIZE))
    prepared = processor(
        images=(resized + 1) / 2,
        do_normalize=True,
        do_center_crop=False,
        do_resize=False,
        do_rescale=False,
        return_tensors="pt",
    ).pixel_values
    return image_encoder(prepared.to(image_encoder.device, image_encoder.dtype)).image_embeds


def draw_noise(
    clip_id: str, count: int, shape: tuple[int, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """A clip's own noise: strengths [count] and unit noise [count, *shape], on the CPU."""
    seed = int.from_bytes(hashlib.sha256(clip_id.encode()).digest()[:8])
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(count, generator=generator)
    noise = torch.randn((count, *shape), generator=generator)
    return (NOISE_AUG_MEAN + NOISE_AUG_STD * normal).exp(), noise


def _stored(name: str, tensor: torch.Tensor) -> np.ndarray:
    """The tensor as it is stored; raises `NotFiniteError`."""
    stored = tensor.float().cpu().numpy()
    with np.errstate(over="ignore"):
        stored = stored.astype(DTYPE)
    broken = np.count_nonzero(~np.isfinite(stored))
    if broken:
        raise NotFiniteError(
            f"{broken} of {stored.size} values of {name} are not finite in {DTYPE.name}"
        )
    return stored
