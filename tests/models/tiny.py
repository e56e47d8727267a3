"""Tiny models of the real classes, and inputs for them."""

from pathlib import Path

import torch
from diffusers import UNetSpatioTemporalConditionModel

from exvideo.config import RandomBase

TINY_SVD = RandomBase(kind="random", path=str(Path(__file__).parent / "tiny_svd"), seed=0)
CONTEXT = 32


def tiny_unet(native_frames: int = 8, seed: int = 0) -> UNetSpatioTemporalConditionModel:
    """A U-Net of two levels, the outer with attention; four transformers of 32 and 64 channels."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return UNetSpatioTemporalConditionModel(
            sample_size=8,
            block_out_channels=(32, 64),
            down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
            up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
            layers_per_block=1,
            num_attention_heads=(2, 4),
            cross_attention_dim=CONTEXT,
            addition_time_embed_dim=32,
            projection_class_embeddings_input_dim=96,
            num_frames=native_frames,
        )


def full_size_unet() -> UNetSpatioTemporalConditionModel:
    """SVD-XT's U-Net without memory."""
    with torch.device("meta"):
        unet = UNetSpatioTemporalConditionModel(num_attention_heads=(5, 10, 20, 20), num_frames=25)
    return unet.to("meta")


def randomise(module: torch.nn.Module, seed: int = 1, scale: float = 0.1) -> None:
    """Move every tensor off its initial value, so that no identity or zero hides a mistake."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(scale * noise.to(parameter.dtype))


def clip_inputs(
    batch: int, frames: int, size: int = 4, dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Latents [B, T, 8, size, size], timesteps [B], context [B, 1, 32], time ids [B, 3]."""
    generator = torch.Generator().manual_seed(2)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    return (
        normal(batch, frames, 8, size, size),
        torch.linspace(0.1, 1.5, batch),
        normal(batch, 1, CONTEXT),
        torch.tensor([[6.0, 127.0, 0.02]]).repeat(batch, 1),
    )


def run(unet: torch.nn.Module, *inputs: torch.Tensor) -> torch.Tensor:
    """The U-Net's output, [B, T, 4, size, size]."""
    return unet(*inputs).sample
