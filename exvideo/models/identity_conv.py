"""The 3D convolution that follows the positions and does nothing before training."""

import torch
from torch import nn
from torch.nn import functional as F


def pad_frames(x: torch.Tensor) -> torch.Tensor:
    """Pad [B, C, T, H, W] by one on each side of T, H and W.

    By reflection, as the original does. An axis of length 1 has nothing to reflect and is
    replicated instead (the original raises there).
    """
    reflect, replicate = [], []
    for size in reversed(x.shape[-3:]):
        reflect += [1, 1] if size > 1 else [0, 0]
        replicate += [0, 0] if size > 1 else [1, 1]
    x = F.pad(x, reflect, mode="reflect")
    return F.pad(x, replicate, mode="replicate") if any(replicate) else x


class IdentityConv3d(nn.Conv3d):
    """Dense 3x3x3 convolution over [B, C, T, H, W] that starts as the identity."""

    bias: torch.Tensor

    def __init__(
        self,
        channels: int,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__(channels, channels, kernel_size=3, device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Weight zero but for the central tap, which is the unit matrix; bias zero."""
        with torch.no_grad():
            self.weight.zero_()
            self.weight[:, :, 1, 1, 1] = torch.eye(
                self.out_channels, dtype=self.weight.dtype, device=self.weight.device
            )
            self.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(pad_frames(x))
