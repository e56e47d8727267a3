"""The names that the published ExVideo weights use (DiffSynth-Studio's), for any SVD U-Net.

DiffSynth keeps its U-Net as one flat list of blocks, `blocks.<number>.<tensor>`, in which skips
and mixtures count as blocks too. The published file holds the temporal attention blocks alone.
"""

from typing import Any

from diffusers.models.unets.unet_spatio_temporal_condition import (
    UNetSpatioTemporalConditionModel,
)
from torch import nn

# diffusers' name below a transformer: DiffSynth's name below a temporal attention block.
TENSORS = {
    "positional_embedding.embeddings": "positional_embedding.embeddings",
    "positional_conv.": "positional_conv.",
    "time_pos_embed.linear_1.": "positional_embedding_proj.0.",
    "time_pos_embed.linear_2.": "positional_embedding_proj.2.",
    "temporal_transformer_blocks.0.norm_in.": "norm_in.",
    "temporal_transformer_blocks.0.ff_in.net.0.proj.": "act_fn_in.proj.",
    "temporal_transformer_blocks.0.ff_in.net.2.": "ff_in.",
    "temporal_transformer_blocks.0.attn1.to_out.0.": "attn1.to_out.",
    "temporal_transformer_blocks.0.attn2.to_out.0.": "attn2.to_out.",
    "temporal_transformer_blocks.0.attn1.": "attn1.",
    "temporal_transformer_blocks.0.attn2.": "attn2.",
    "temporal_transformer_blocks.0.norm1.": "norm1.",
    "temporal_transformer_blocks.0.norm2.": "norm2.",
    "temporal_transformer_blocks.0.norm3.": "norm_out.",
    "temporal_transformer_blocks.0.ff.net.0.proj.": "act_fn_out.proj.",
    "temporal_transformer_blocks.0.ff.net.2.": "ff_out.",
}


def temporal_block_numbers(unet: nn.Module) -> dict[str, int]:
    """DiffSynth's number of each spatio-temporal transformer's temporal block.

    A residual layer takes four blocks (spatial, push, temporal, mix) and a transformer five more
    (push, spatial, push, temporal, mix). On the way down each layer and each downsampler is
    followed by a push; on the way up each layer is preceded by a pop.
    """
    if not isinstance(unet, UNetSpatioTemporalConditionModel):
        raise TypeError(
            f"DiffSynth's layout is Stable Video Diffusion's, not {type(unet).__name__}'s."
        )
    numbers: dict[str, int] = {}
    next_number = 0

    def layer(transformer: str | None) -> None:
        nonlocal next_number
        if transformer:
            numbers[transformer] = next_number + 7
        next_number += 9 if transformer else 4

    down_blocks: Any = unet.down_blocks
    up_blocks: Any = unet.up_blocks
    for i, block in enumerate(down_blocks):
        for j in range(len(block.resnets)):
            attends = hasattr(block, "attentions")
            layer(f"down_blocks.{i}.attentions.{j}" if attends else None)
            next_number += 1
        if block.downsamplers:
            next_number += 2
    layer("mid_block.attentions.0")
    layer(None)
    for i, block in enumerate(up_blocks):
        for j in range(len(block.resnets)):
            attends = hasattr(block, "attentions")
            next_number += 1
            layer(f"up_blocks.{i}.attentions.{j}" if attends else None)
        if block.upsamplers:
            next_number += 1
    return numbers


def to_diffsynth(name: str, numbers: dict[str, int]) -> str:
    """DiffSynth's name of an extension's tensor, from its name in diffusers' U-Net."""
    for transformer, number in numbers.items():
        tensor = name.removeprefix(f"{transformer}.")
        if tensor == name:
            continue
        for ours, theirs in TENSORS.items():
            if tensor.startswith(ours):
                return f"blocks.{number}.{theirs}{tensor.removeprefix(ours)}"
    raise ValueError(f"DiffSynth's layout has no place for {name}.")
