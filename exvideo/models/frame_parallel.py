"""One clip's frames shared out over ranks: longer clips than one device holds.

Every rank has T / n consecutive frames. Spatial layers work on a rank's own; of what crosses
frames, a temporal convolution needs one frame of each neighbour, the temporal residual blocks'
group norms need the clip's statistics, and temporal attention takes all frames of a share of the
positions, which one exchange brings together and another gives back. The result is the same as on
one rank, in the forward and the backward pass.
"""

from typing import Any, Protocol

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import TemporalResnetBlock
from torch import Tensor, nn
from torch.nn import functional as F

from exvideo.errors import InputError
from exvideo.models.identity_conv import FactorisedIdentityConv3d, IdentityConv3d, pad_frames
from exvideo.models.positions import PositionTable
from exvideo.models.svd import ExtendedUNet, transformers


class FrameRanks(Protocol):
    """The ranks that share a clip; the `index`-th of `count` has the `index`-th share."""

    index: int
    count: int

    def exchange(self, x: Tensor, give: list[int], take: list[int]) -> Tensor:
        """Give the i-th rank the next `give[i]` rows of x, and take `take[i]` of its; all must."""

    def total(self, x: Tensor) -> Tensor:
        """The sum of all ranks' x; all must ask."""


class GroupRanks:
    """The ranks of a process group."""

    def __init__(self, group: Any) -> None:
        self._group = group
        self.index = torch.distributed.get_rank(group)
        self.count = torch.distributed.get_world_size(group)

    def exchange(self, x: Tensor, give: list[int], take: list[int]) -> Tensor:
        return _Exchange.apply(x, give, take, self._group)

    def total(self, x: Tensor) -> Tensor:
        return _Total.apply(x, self._group)


class _Exchange(torch.autograd.Function):
    """torch.distributed's all-to-all; what was given comes back as its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, give: list[int], take: list[int], group: Any) -> Tensor:
        ctx.give, ctx.take, ctx.group = give, take, group
        taken = x.new_empty(sum(take), *x.shape[1:])
        torch.distributed.all_to_all_single(taken, x.contiguous(), take, give, group=group)
        return taken

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return _Exchange.apply(gradient, ctx.take, ctx.give, ctx.group), None, None, None


class _Total(torch.autograd.Function):
    """torch.distributed's sum. Every rank's result depends on x, so gradients add up, too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Any) -> Tensor:
        ctx.group = group
        total = x.clone()
        torch.distributed.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Total.apply(gradient.contiguous(), ctx.group), None


def share_frames(unet: nn.Module, ranks: FrameRanks) -> None:
    """Let an extended Stable Video Diffusion U-Net work on this rank's share of a clip's frames.

    Call it after `configure_attention`. From then on every rank passes its own frames
    [B, T / n, C, H, W], at least two, and gets their prediction.

    Raises `InputError` for another architecture.
    """
    if not isinstance(unet, ExtendedUNet):
        raise InputError(
            f"training.frame_ranks: the frames of a {type(unet).__name__} can't be shared out, "
            "those of Stable Video Diffusion can; set it to 1"
        )
    transformer: Any
    for transformer in transformers(unet).values():
        _become(transformer.positional_embedding, SharedPositionTable, ranks)
        _share_convolution(transformer.positional_conv, ranks)
        for block in transformer.temporal_transformer_blocks:
            block.attn1.set_processor(AllFramesAttention(block.attn1.processor, ranks))
    for block in unet.modules():
        if isinstance(block, TemporalResnetBlock):
            for norm in (block.norm1, block.norm2):
                _become(norm, SharedGroupNorm, ranks)
            for conv in (block.conv1, block.conv2):
                _become(conv, SharedTemporalConv, ranks)


def _become(module: nn.Module, kind: type[nn.Module], ranks: FrameRanks) -> None:
    # The class changes and the object stays: its names, tensors and hooks are still the base's.
    module.__class__ = kind
    module.frame_ranks = ranks  # type: ignore[assignment]  # no module


def _share_convolution(conv: IdentityConv3d | FactorisedIdentityConv3d, ranks: FrameRanks) -> None:
    def pad(x: Tensor) -> Tensor:
        before, after = neighbours(x, ranks)
        # The clip's own ends are reflected.
        first = x[:, :, 1:2] if before is None else before
        last = x[:, :, -2:-1] if after is None else after
        return pad_frames(torch.cat([first, x, last], dim=2), axes=(-1, -2))

    conv.pad = pad


def neighbours(x: Tensor, ranks: FrameRanks) -> tuple[Tensor | None, Tensor | None]:
    """The frames before and after this rank's x [B, C, t, H, W], None at the clip's ends."""
    behind, ahead = ranks.index > 0, ranks.index < ranks.count - 1
    sizes = [0] * ranks.count
    edges = []
    if behind:
        sizes[ranks.index - 1] = 1
        edges.append(x[:, :, 0])
    if ahead:
        sizes[ranks.index + 1] = 1
        edges.append(x[:, :, -1])
    taken = list(ranks.exchange(torch.stack(edges), sizes, sizes).unsqueeze(3).unbind(0))
    return taken.pop(0) if behind else None, taken.pop(0) if ahead else None


class SharedPositionTable(PositionTable):
    """Gives the rows of this rank's frames."""

    frame_ranks: FrameRanks

    def forward(self, num_frames: int) -> Tensor:
        whole = super().forward(num_frames * self.frame_ranks.count)
        return whole[self.frame_ranks.index * num_frames :][:num_frames]


class SharedTemporalConv(nn.Conv3d):
    """A convolution of 3x1x1, padded by zeros at the clip's ends alone."""

    frame_ranks: FrameRanks

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, t, H, W] to the same frames."""
        before, after = neighbours(x, self.frame_ranks)
        nothing = torch.zeros_like(x[:, :, :1])
        first = nothing if before is None else before
        last = nothing if after is None else after
        return F.conv3d(torch.cat([first, x, last], dim=2), self.weight, self.bias)


class SharedGroupNorm(nn.GroupNorm):
    """A group norm over all ranks' frames, its statistics in float32."""

    frame_ranks: FrameRanks

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, t, H, W] to the same shape."""
        grouped = x.float().unflatten(1, (self.num_groups, -1)).flatten(2)
        count = grouped.shape[-1] * self.frame_ranks.count
        mean = self.frame_ranks.total(grouped.sum(-1)) / count
        centred = grouped - mean[..., None]
        variance = self.frame_ranks.total(centred.square().sum(-1)) / count
        normal = (centred * (variance + self.eps).rsqrt()[..., None]).view_as(x)
        weight, bias = (it.float()[:, None, None, None] for it in (self.weight, self.bias))
        return (normal * weight + bias).to(x.dtype)


class AllFramesAttention:
    """Attention processor over time: another one's, on all frames of this rank's positions."""

    def __init__(self, inner: Any, ranks: FrameRanks) -> None:
        self._inner = inner
        self._ranks = ranks

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """hidden_states [N, t, C], N positions and this rank's frames, to the same shape."""
        count, index = self._ranks.count, self._ranks.index
        positions, frames, _ = hidden_states.shape
        # As even as can be; the first ranks have one more.
        shares = [len(range(rank, positions, count)) for rank in range(count)]
        mine = [shares[index]] * count
        taken = self._ranks.exchange(hidden_states, shares, mine)
        whole = taken.unflatten(0, (count, -1)).transpose(0, 1).flatten(1, 2)
        attended = self._inner(attn, whole, encoder_hidden_states, attention_mask)
        given = attended.unflatten(1, (count, frames)).transpose(0, 1).flatten(0, 1)
        return self._ranks.exchange(given, mine, shares)
