"""What each network is shown of a frame: resized, cut and normalised as its metric's source does.

Each view takes uint8 pixels [N, 3, H, W] and gives float32.
"""

import math

from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize
from torchvision.transforms import functional as view

from exvideo.evaluation import i3d

BICUBIC = InterpolationMode.BICUBIC

CLIP_NORMS = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_NORMS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

MUSIQ_SIDE = 512


def unit(pixels: Tensor) -> Tensor:
    """In [0, 1], nothing else."""
    return pixels.float() / 255


clip_view = Compose(
    [
        Resize(224, interpolation=BICUBIC, antialias=False),
        CenterCrop(224),
        unit,
        Normalize(*CLIP_NORMS),
    ]
)
"""VBench's `clip_transform(224)`."""

dino_view = Compose([Resize(224, antialias=False), unit, Normalize(*IMAGENET_NORMS)])
"""VBench's `dino_transform(224)`, which cuts nothing off."""

i2v_dino_view = Compose(
    [Resize(256, interpolation=BICUBIC), CenterCrop(224), unit, Normalize(*IMAGENET_NORMS)]
)
"""VBench-I2V's `dino_transform_internet()`."""

dreamsim_view = Compose([Resize((224, 224), interpolation=BICUBIC), unit])
"""VBench-I2V's `dreamsim_transform(224)`, which keeps no aspect ratio."""


def musiq_view(pixels: Tensor) -> Tensor:
    """VBench's `longer`: what is larger than 512 is made so by its longer side."""
    height, width = pixels.shape[2:]
    scale = MUSIQ_SIDE / max(height, width)
    if scale < 1:
        size = [int(scale * height), int(scale * width)]
        return unit(view.resize(pixels.float(), size, antialias=False))
    return unit(pixels)


def i3d_view(pixels: Tensor) -> Tensor:
    """In [-1, 1], the shorter side resized to 224 and the middle cut out, as StyleGAN-V's FVD."""
    scale = i3d.SIDE / min(pixels.shape[2:])
    size = [math.ceil(side * scale) for side in pixels.shape[2:]]
    resized = F.interpolate(unit(pixels), size, mode="bilinear", align_corners=False)
    return 2 * view.center_crop(resized, [i3d.SIDE, i3d.SIDE]) - 1
