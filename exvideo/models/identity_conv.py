"""The 3D convolution that follows the positions and does nothing before training."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional as F

ConvKind = Literal["dense", "factorised", "depthwise"]


AXES = (-1, -2, -3)
"""W, H and T of [B, C, T, H, W]."""


def pad_frames(x: torch.Tensor, axes: Sequence[int] = AXES) -> torch.Tensor:
    """Pad [B, C, T, H, W] by one on each side of T, H and W, or of some of them.

    By reflection, as the original does. An axis of length 1 has nothing to reflect and is
    replicated instead (the original raises there).
    """
    alone = [axis for axis in axes if x.shape[axis] == 1]
    x = _Reflection.apply(x, [axis for axis in axes if axis not in alone])
    return F.pad(x, _by_one(alone), mode="replicate") if alone else x


def _by_one(axes: Sequence[int]) -> list[int]:
    """The widths that torch's padding asks for."""
    return [width for axis in AXES for width in ([1, 1] if axis in axes else [0, 0])]


class _Reflection(torch.autograd.Function):
    """Reflects [B, C, T, H, W] by one beyond both ends of axes that have two elements or more.

    torch's own backward pass adds up with atomics on a GPU, in another order each time.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, axes: list[int]) -> torch.Tensor:
        ctx.axes = axes
        return F.pad(x, _by_one(axes), mode="reflect")

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        inner = gradient.clone()
        for axis in ctx.axes:
            # What stands beyond an end is the element after the first, or before the last.
            inner.select(axis, 2).add_(inner.select(axis, 0))
            inner.select(axis, -3).add_(inner.select(axis, -1))
            inner = inner.narrow(axis, 1, inner.shape[axis] - 2)
        return inner.contiguous(), None


class IdentityConv3d(nn.Module):
    """3x3x3 convolution over [B, C, T, H, W] that starts as the identity.

    The original's is dense and by far the largest part of what the extension adds.
    """

    def __init__(self, channels: int, groups: int = 1, **factory: Any):
        super().__init__()
        self.groups = groups
        self.pad: Callable[[torch.Tensor], torch.Tensor] = pad_frames
        per_group = channels // groups
        self.weight = nn.Parameter(torch.zeros(channels, per_group, 3, 3, 3, **factory))
        self.bias = nn.Parameter(torch.zeros(channels, **factory))
        with torch.no_grad():
            self.weight[:, :, 1, 1, 1] = torch.eye(per_group, **factory).repeat(groups, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv3d(self.pad(x), self.weight, self.bias, groups=self.groups)

    def dense(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight [C, C, 3, 3, 3] and bias [C] of the dense convolution that computes the same."""
        blocks = self.weight.unflatten(0, (self.groups, -1))
        channels, per_group = self.weight.shape[:2]
        dense = self.weight.new_zeros(self.groups, per_group, self.groups, per_group, 3, 3, 3)
        group = torch.arange(self.groups, device=dense.device)
        dense[group, :, group] = blocks
        return dense.reshape(channels, channels, 3, 3, 3), self.bias


class FactorisedIdentityConv3d(nn.Module):
    """Depthwise 1x3x3 convolution, then dense 3x1x1: a ninth of the dense one's weights."""

    def __init__(self, channels: int, **factory: Any):
        super().__init__()
        self.pad: Callable[[torch.Tensor], torch.Tensor] = pad_frames
        self.spatial = nn.Parameter(torch.zeros(channels, 1, 1, 3, 3, **factory))
        self.temporal = nn.Parameter(torch.zeros(channels, channels, 3, 1, 1, **factory))
        self.bias = nn.Parameter(torch.zeros(channels, **factory))
        with torch.no_grad():
            self.spatial[:, :, :, 1, 1] = 1
            self.temporal[:, :, 1, 0, 0] = torch.eye(channels, **factory)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.conv3d(self.pad(x), self.spatial, groups=len(self.spatial))
        return F.conv3d(x, self.temporal, self.bias)

    def dense(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight [C, C, 3, 3, 3] and bias [C] of the dense convolution that computes the same."""
        return self.temporal * self.spatial.transpose(0, 1), self.bias


def identity_conv(channels: int, kind: ConvKind, **factory: Any) -> nn.Module:
    """An identity convolution of a kind: dense is the original's, the others are small."""
    if kind == "dense":
        return IdentityConv3d(channels, **factory)
    if kind == "factorised":
        return FactorisedIdentityConv3d(channels, **factory)
    if kind == "depthwise":
        return IdentityConv3d(channels, groups=channels, **factory)
    raise ValueError(f"conv is {kind!r}, expected 'dense', 'factorised' or 'depthwise'.")


def to_dense(conv: nn.Module) -> IdentityConv3d:
    """The dense convolution that computes the same as `conv`."""
    weight, bias = conv.dense()  # type: ignore[operator]
    dense = IdentityConv3d(len(bias), device=bias.device, dtype=bias.dtype)
    with torch.no_grad():
        dense.weight.copy_(weight)
        dense.bias.copy_(bias)
    return dense
