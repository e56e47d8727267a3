"""One extended transformer written out in plain tensor operations, clip by clip.

It shares nothing with the modules under test but their tensors, which it takes by name.
"""

import math

import torch
from torch.nn import functional as F

from tests.models.test_identity_conv import plain_conv

Tensors = dict[str, torch.Tensor]


def linear(w: Tensors, name: str, x: torch.Tensor) -> torch.Tensor:
    y = torch.einsum("...i,oi->...o", x, w[f"{name}.weight"])
    return y + w[f"{name}.bias"] if f"{name}.bias" in w else y


def layer_norm(w: Tensors, name: str, x: torch.Tensor) -> torch.Tensor:
    centred = x - x.mean(-1, keepdim=True)
    deviation = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return centred / deviation * w[f"{name}.weight"] + w[f"{name}.bias"]


def group_norm(w: Tensors, name: str, x: torch.Tensor) -> torch.Tensor:
    """x [T, C, H, W], 32 groups, each frame by itself."""
    grouped = x.unflatten(1, (32, -1))
    centred = grouped - grouped.mean((2, 3, 4), keepdim=True)
    deviation = (centred.square().mean((2, 3, 4), keepdim=True) + 1e-6).sqrt()
    x = (centred / deviation).flatten(1, 2)
    return x * w[f"{name}.weight"][:, None, None] + w[f"{name}.bias"][:, None, None]


def attention(
    w: Tensors, name: str, x: torch.Tensor, context: torch.Tensor, heads: int
) -> torch.Tensor:
    """x [N, L, C] over context [N, S, D]."""
    q, k, v = (
        linear(w, f"{name}.{projection}", source).unflatten(-1, (heads, -1))
        for projection, source in (("to_q", x), ("to_k", context), ("to_v", context))
    )
    scores = torch.einsum("nlhd,nshd->nhls", q, k) / math.sqrt(q.shape[-1])
    mixed = torch.einsum("nhls,nshd->nlhd", scores.softmax(-1), v).flatten(2)
    return linear(w, f"{name}.to_out.0", mixed)


def geglu(w: Tensors, name: str, x: torch.Tensor) -> torch.Tensor:
    value, gate = linear(w, f"{name}.net.0.proj", x).chunk(2, dim=-1)
    return linear(w, f"{name}.net.2", value * F.gelu(gate))


def transformer(
    w: Tensors, hidden: torch.Tensor, context: torch.Tensor, heads: int
) -> torch.Tensor:
    """One clip: hidden [T, C, H, W], context [D], to [T, C, H, W]."""
    frames, channels, height, width = hidden.shape
    x = group_norm(w, "norm", hidden).flatten(2).transpose(1, 2)
    x = linear(w, "proj_in", x)

    block = "transformer_blocks.0"
    normed = layer_norm(w, f"{block}.norm1", x)
    x = x + attention(w, f"{block}.attn1", normed, normed, heads)
    normed = layer_norm(w, f"{block}.norm2", x)
    x = x + attention(w, f"{block}.attn2", normed, context.expand(frames, 1, -1), heads)
    spatial = x + geglu(w, f"{block}.ff", layer_norm(w, f"{block}.norm3", x))

    table = w["positional_embedding.embeddings"][:frames]
    positions = linear(
        w, "time_pos_embed.linear_2", F.silu(linear(w, "time_pos_embed.linear_1", table))
    )
    y = (spatial + positions[:, None]).transpose(1, 2).unflatten(2, (height, width))
    y = plain_conv(y.transpose(0, 1)[None], w["positional_conv.weight"], w["positional_conv.bias"])
    y = y[0].flatten(2).permute(2, 1, 0)

    block = "temporal_transformer_blocks.0"
    y = y + geglu(w, f"{block}.ff_in", layer_norm(w, f"{block}.norm_in", y))
    normed = layer_norm(w, f"{block}.norm1", y)
    y = y + attention(w, f"{block}.attn1", normed, normed, heads)
    normed = layer_norm(w, f"{block}.norm2", y)
    y = y + attention(w, f"{block}.attn2", normed, context.expand(height * width, 1, -1), heads)
    y = y + geglu(w, f"{block}.ff", layer_norm(w, f"{block}.norm3", y))

    mix = torch.sigmoid(w["time_mixer.mix_factor"])
    x = mix * spatial + (1 - mix) * y.transpose(0, 1)
    x = linear(w, "proj_out", x).transpose(1, 2).reshape(frames, channels, height, width)
    return hidden + x
