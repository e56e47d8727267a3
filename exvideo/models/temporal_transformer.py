"""The temporal transformer that AnimateDiff and ModelScope share, extended.

Its blocks add positions, if any, after a norm and before each of their two attentions over time.
"""

from typing import Any

import torch
from diffusers.models.attention import BasicTransformerBlock, _chunked_feed_forward
from diffusers.models.transformers.transformer_temporal import (
    TransformerTemporalModel,
    TransformerTemporalModelOutput,
)
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from torch import nn

from exvideo.models.identity_conv import ConvKind, identity_conv
from exvideo.models.positions import PositionTable

ClipShape = tuple[int, int, int, int]
"""(B, T, H, W)"""


class ExtendedTemporalBlock(BasicTransformerBlock):
    """diffusers' block with a table of positions and an identity convolution per attention.

    Each attention receives conv(norm(x) + table[:T]), the convolution over [B, C, T, H, W].
    """

    positional_embedding: PositionTable
    positional_conv: nn.ModuleList

    def _placed(self, x: torch.Tensor, conv: nn.Module, clip_shape: ClipShape) -> torch.Tensor:
        """Positions and convolution on x [B*H*W, T, C]."""
        batch, frames, height, width = clip_shape
        x = x + self.positional_embedding(frames).to(x.dtype)
        x = x.view(batch, height, width, frames, -1)
        x = conv(x.permute(0, 4, 3, 1, 2))
        return x.permute(0, 3, 4, 2, 1).reshape(batch * height * width, frames, -1)

    def forward(  # type: ignore[override]  # only what a temporal transformer passes
        self,
        hidden_states: torch.Tensor,
        clip_shape: ClipShape,
        encoder_hidden_states: torch.Tensor | None = None,
        cross_attention_kwargs: dict[str, Any] | None = None,
    ) -> torch.Tensor:
        """hidden_states [B*H*W, T, C] to the same shape."""
        x, kwargs = hidden_states, cross_attention_kwargs or {}
        placed = self._placed(self.norm1(x), self.positional_conv[0], clip_shape)
        x = x + self.attn1(placed, **kwargs)
        if self.attn2 is not None:
            placed = self._placed(self.norm2(x), self.positional_conv[1], clip_shape)
            x = x + self.attn2(placed, encoder_hidden_states=encoder_hidden_states, **kwargs)
        normed = self.norm3(x)
        if self._chunk_size is not None:
            return x + _chunked_feed_forward(self.ff, normed, self._chunk_dim, self._chunk_size)
        return x + self.ff(normed)


def _run_blocks(
    transformer: Any,
    hidden_states: torch.Tensor,
    encoder_hidden_states: torch.Tensor | None,
    frames: int,
    cross_attention_kwargs: dict[str, Any] | None,
) -> torch.Tensor:
    """The transformer's forward pass, [B*T, C, H, W] to the same shape."""
    batch_frames, _, height, width = hidden_states.shape
    clip_shape = (batch_frames // frames, frames, height, width)
    x = hidden_states.unflatten(0, clip_shape[:2]).transpose(1, 2)
    x = transformer.norm(x).permute(0, 3, 4, 2, 1).flatten(0, 2)
    x = transformer.proj_in(x)
    for block in transformer.transformer_blocks:
        x = block(x, clip_shape, encoder_hidden_states, cross_attention_kwargs)
    x = transformer.proj_out(x).unflatten(0, (-1, height, width)).permute(0, 3, 4, 1, 2)
    return x.flatten(0, 1).contiguous() + hidden_states


class ExtendedMotionModule(AnimateDiffTransformer3D):
    """AnimateDiff's motion module with extended blocks."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        timestep: torch.Tensor | None = None,
        class_labels: torch.Tensor | None = None,
        num_frames: int = 1,
        cross_attention_kwargs: dict[str, Any] | None = None,
    ) -> torch.Tensor:
        return _run_blocks(
            self, hidden_states, encoder_hidden_states, num_frames, cross_attention_kwargs
        )


class ExtendedTemporalModel(TransformerTemporalModel):
    """ModelScope's temporal transformer with extended blocks."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        timestep: torch.Tensor | None = None,
        class_labels: torch.Tensor | None = None,
        num_frames: int = 1,
        cross_attention_kwargs: dict[str, Any] | None = None,
        return_dict: bool = True,
    ) -> Any:
        x = _run_blocks(
            self, hidden_states, encoder_hidden_states, num_frames, cross_attention_kwargs
        )
        return TransformerTemporalModelOutput(sample=x) if return_dict else (x,)


def extend_block(block: Any, table: torch.Tensor, conv: ConvKind) -> None:
    """Extend one block in place; its own positions, if any, give way to the table [N, C]."""
    if block.norm_type != "layer_norm":
        raise ValueError(f"A temporal block with norms of type {block.norm_type!r} is unknown.")
    weight = block.attn1.to_q.weight
    channels = table.shape[1]
    convs = nn.ModuleList(
        identity_conv(channels, conv, device=weight.device, dtype=weight.dtype)
        for attention in (block.attn1, block.attn2)
        if attention is not None
    )
    block.__class__ = ExtendedTemporalBlock
    block.pos_embed = None
    block.positional_embedding = PositionTable(table.to(weight.device, weight.dtype))
    block.positional_conv = convs
