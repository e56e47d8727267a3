"""I3D, whose answers on Kinetics' 400 actions are the features of the Fréchet video distance.

Inception's blocks with 3D kernels (Carreira and Zisserman, 2017). Tensors are named as in
pytorch-i3d's `rgb_imagenet.pt`, DeepMind's weights, so that files of that layout are read.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 224

MIN_FRAMES = 9
"""Fewer are one step after the strides, and the last pooling takes two."""

BLOCKS = {
    "Mixed_3b": (192, (64, 96, 128, 16, 32, 32)),
    "Mixed_3c": (256, (128, 128, 192, 32, 96, 64)),
    "Mixed_4b": (480, (192, 96, 208, 16, 48, 64)),
    "Mixed_4c": (512, (160, 112, 224, 24, 64, 64)),
    "Mixed_4d": (512, (128, 128, 256, 24, 64, 64)),
    "Mixed_4e": (512, (112, 144, 288, 32, 64, 64)),
    "Mixed_4f": (528, (256, 160, 320, 32, 128, 128)),
    "Mixed_5b": (832, (256, 160, 320, 32, 128, 128)),
    "Mixed_5c": (832, (384, 192, 384, 48, 128, 128)),
}
"""Channels in, and those of the branches' convolutions."""

POOLS = {
    "Conv3d_2b_1x1": ((1, 3, 3), (1, 2, 2)),
    "Mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}
"""Kernel and stride of the pooling before a layer."""

Size = tuple[int, int, int]


class I3d(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = _Unit(3, 64, (7, 7, 7), (2, 2, 2))
        self.Conv3d_2b_1x1 = _Unit(64, 64)
        self.Conv3d_2c_3x3 = _Unit(64, 192, (3, 3, 3))
        for name, (channels, branches) in BLOCKS.items():
            self.add_module(name, _Block(channels, branches))
        self.logits = _Answers()

    def forward(self, video: Tensor) -> Tensor:
        """Clips [N, 3, T, 224, 224] in [-1, 1], T at least 9, to the answers' mean, [N, 400]."""
        found = video
        for name, layer in self.named_children():
            if name in POOLS:
                found = _pool(found, *POOLS[name])
            if name == "logits":
                found = F.avg_pool3d(found, (2, 7, 7), stride=1)
            found = layer(found)
        return found.mean(dim=(2, 3, 4))


class _Unit(nn.Module):
    """A convolution whose output has the input's size over the stride, norm and ReLU."""

    def __init__(
        self, channels: int, out: int, kernel: Size = (1, 1, 1), stride: Size = (1, 1, 1)
    ) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(channels, out, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(out, eps=1e-3)
        self.kernel, self.stride = kernel, stride

    def forward(self, found: Tensor) -> Tensor:
        normed: Tensor = self.bn(self.conv3d(_padded(found, self.kernel, self.stride)))
        return normed.relu()


class _Block(nn.Module):
    def __init__(self, channels: int, branches: Sequence[int]) -> None:
        super().__init__()
        self.b0 = _Unit(channels, branches[0])
        self.b1a = _Unit(channels, branches[1])
        self.b1b = _Unit(branches[1], branches[2], (3, 3, 3))
        self.b2a = _Unit(channels, branches[3])
        self.b2b = _Unit(branches[3], branches[4], (3, 3, 3))
        self.b3b = _Unit(channels, branches[5])

    def forward(self, found: Tensor) -> Tensor:
        pooled = self.b3b(_pool(found, (3, 3, 3), (1, 1, 1)))
        branches = [self.b0(found), self.b1b(self.b1a(found)), self.b2b(self.b2a(found)), pooled]
        return torch.cat(branches, dim=1)


class _Answers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(1024, 400, 1)

    def forward(self, found: Tensor) -> Tensor:
        answers: Tensor = self.conv3d(found)
        return answers


def _pool(found: Tensor, kernel: Size, stride: Size) -> Tensor:
    # What is pooled comes from a ReLU: zeros at the rim never win.
    return F.max_pool3d(_padded(found, kernel, stride), kernel, stride)


def _padded(found: Tensor, kernel: Size, stride: Size) -> Tensor:
    """TensorFlow's SAME, which pads by the input's size, and one more at the end."""
    pads: list[int] = []
    for size, length, step in zip(found.shape[2:], kernel, stride, strict=True):
        missing = max(length - (size % step or step), 0)
        pads = [missing // 2, missing - missing // 2, *pads]
    return F.pad(found, pads)
