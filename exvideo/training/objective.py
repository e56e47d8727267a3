"""The objective of Stable Video Diffusion: EDM with v-prediction, whose loss is plain MSE on v.

x = x0 + sigma eps, with x0 the scaled latents and sigma_data = 1. Following Karras et al. 2022,
equations 7 and 8, with the v-parametrisation's weight (sigma^2 + 1) / sigma^2.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from exvideo.config import SigmaConfig

SIGMA_RANGE = (0.002, 700.0)
"""What the sampler visits; the log-normal's tails beyond it are clamped."""

LEVELS = 4
"""Quarters of the noise distribution, by which losses are told apart."""

_GOLDEN_RATIO = (1 + 5**0.5) / 2


@dataclass(frozen=True)
class Preconditioning:
    """D(x; sigma) = c_skip x + c_out F(c_in x; c_noise): every factor has sigma's shape."""

    c_skip: Tensor
    c_out: Tensor
    c_in: Tensor
    c_noise: Tensor


def precondition(sigma: Tensor) -> Preconditioning:
    """The four factors for noise levels `sigma` > 0, in float32 or better."""
    total = (sigma**2 + 1).sqrt()
    return Preconditioning(
        c_skip=1 / total**2, c_out=-sigma / total, c_in=1 / total, c_noise=sigma.log() / 4
    )


def v_target(latents: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """v = (eps - sigma x0) / sqrt(sigma^2 + 1), so that |F - v|^2 is the weighted |D - x0|^2."""
    return (noise - sigma * latents) / (sigma**2 + 1).sqrt()


def sigma_at(quantile: Tensor, config: SigmaConfig) -> Tensor:
    """The noise distribution's quantile function: (0, 1) to sigma."""
    return (config.mean + config.std * torch.special.ndtri(quantile)).exp().clamp(*SIGMA_RANGE)


def level_of(sigma: Tensor, config: SigmaConfig) -> Tensor:
    """The quarter of the noise distribution that each sigma lies in, 0 to 3; int64."""
    quantile = torch.special.ndtr((sigma.log() - config.mean) / config.std)
    return (quantile * LEVELS).long().clamp(0, LEVELS - 1)


def level_sigmas(config: SigmaConfig) -> list[float]:
    """The noise level in the middle of each quarter."""
    middles = (torch.arange(LEVELS, dtype=torch.float64) + 0.5) / LEVELS
    return sigma_at(middles, config).tolist()


def noise_quantile(seed: int, index: int) -> float:
    """The quantile from which sample `index` takes its sigma, in (0, 1).

    An additive recurrence with the golden ratio: any run of consecutive samples, hence every
    global batch whatever its size, is spread over the noise levels as evenly as strata would
    spread it, and yet each sample's level depends on nothing but its own index.
    """
    offset = np.random.default_rng(seed).random()
    return min(max((offset + index * _GOLDEN_RATIO) % 1.0, 1e-9), 1 - 1e-9)


@dataclass(frozen=True)
class Draw:
    """What chance decides about one sample."""

    sigma: float
    augmentation: int
    """Which of the clip's noised first frames is the condition."""
    drop_condition: bool
    noise: Tensor
    """Standard normal, float32 [T, 4, h, w]."""


def draw(
    seed: int,
    index: int,
    shape: Sequence[int],
    augmentations: int,
    sigma: SigmaConfig,
    condition_dropout: float,
) -> Draw:
    """Chance for sample `index` of a training, keyed by (seed, index) alone.

    There is no generator state: a resumed training goes on with the very same draws, on however
    many ranks and in whatever order the samples are prepared.
    """
    key = np.array([seed, index], dtype=np.uint64)
    generator = np.random.Generator(np.random.Philox(key=key))
    quantile = torch.tensor(noise_quantile(seed, index), dtype=torch.float64)
    return Draw(
        sigma=float(sigma_at(quantile, sigma)),
        augmentation=int(generator.integers(augmentations)),
        drop_condition=bool(generator.random() < condition_dropout),
        noise=torch.from_numpy(generator.standard_normal(shape, dtype=np.float32)),
    )


@dataclass(frozen=True)
class Batch:
    """B clips of T frames, noised and conditioned as one step needs them; all float32."""

    latents: Tensor
    """x0, scaled: [B, T, 4, h, w]."""
    noise: Tensor
    """eps, standard normal: [B, T, 4, h, w]."""
    sigma: Tensor
    """[B]."""
    cond_latents: Tensor
    """The noised first frame's, unscaled, zero where the condition is dropped: [B, 4, h, w]."""
    image_embeds: Tensor
    """The clean first frame's CLIP embedding, zero where the condition is dropped: [B, D]."""
    added_time_ids: Tensor
    """fps - 1, motion bucket, strength of the noise augmentation: [B, 3]."""

    def frames(self, chosen: slice) -> Self:
        """The same with these frames alone."""
        return replace(self, latents=self.latents[:, chosen], noise=self.noise[:, chosen])

    def to(self, device: torch.device | str) -> Self:
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Self:
        """Found and called by torch's `DataLoader`."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        return type(self)(**{it.name: change(getattr(self, it.name)) for it in fields(self)})


def make_batch(
    clips: Sequence[Mapping[str, Any]], draws: Sequence[Draw], scaling_factor: float
) -> Batch:
    """Bring clips and their chance together.

    Args:
        clips: mappings with latents [T, 4, h, w] and cond_latents [K, 4, h, w], both unscaled,
            noise_aug_strengths [K], image_embeds [D], fps and motion_bucket_id.
        draws: one for each clip.
        scaling_factor: the VAE's; it applies to the latents and not to the condition.
    """
    # Guidance's unconditional pass knows only the joint null, so both go together.
    kept = [0.0 if drawn.drop_condition else 1.0 for drawn in draws]
    pairs = list(zip(clips, draws, kept, strict=True))
    return Batch(
        latents=torch.stack([clip["latents"].float() * scaling_factor for clip in clips]),
        noise=torch.stack([drawn.noise for drawn in draws]),
        sigma=torch.tensor([drawn.sigma for drawn in draws], dtype=torch.float32),
        cond_latents=torch.stack(
            [clip["cond_latents"][drawn.augmentation].float() * keep for clip, drawn, keep in pairs]
        ),
        image_embeds=torch.stack([clip["image_embeds"].float() * keep for clip, _, keep in pairs]),
        added_time_ids=torch.tensor(
            [
                [
                    float(clip["fps"]) - 1,
                    float(clip["motion_bucket_id"]),
                    float(clip["noise_aug_strengths"][drawn.augmentation]),
                ]
                for clip, drawn, _ in pairs
            ],
            dtype=torch.float32,
        ),
    )


def unet_inputs(batch: Batch, dtype: torch.dtype) -> dict[str, Tensor]:
    """The arguments of diffusers' `UNetSpatioTemporalConditionModel` for a batch.

    c_noise and the ids stay float32, which the U-Net's sinusoids need: bfloat16 cannot tell a
    motion bucket of 256 from 257.
    """
    sigma = batch.sigma[:, None, None, None, None]
    factors = precondition(sigma)
    noisy = factors.c_in * (batch.latents + sigma * batch.noise)
    condition = batch.cond_latents[:, None].expand_as(noisy)
    return {
        "sample": torch.cat([noisy, condition], dim=2).to(dtype),
        "timestep": factors.c_noise.flatten(),
        "encoder_hidden_states": batch.image_embeds[:, None].to(dtype),
        "added_time_ids": batch.added_time_ids,
    }


def v_loss(unet: nn.Module, batch: Batch) -> Tensor:
    """Each clip's mean squared error on v, in float32: [B].

    The form with D would multiply the U-Net's rounding errors by 1 / sigma; this one does not.
    """
    dtype = next(unet.parameters()).dtype
    (prediction,) = unet(**unet_inputs(batch, dtype), return_dict=False)
    target = v_target(batch.latents, batch.noise, batch.sigma[:, None, None, None, None])
    return (prediction.float() - target).square().flatten(1).mean(dim=1)
