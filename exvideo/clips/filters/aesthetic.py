"""LAION's aesthetic score: how people would rate a picture, 1 to 10, by what CLIP sees in it.

improved-aesthetic-predictor (Schuhmann, 2022): CLIP ViT-L/14's embedding, of unit length, goes
through five linear layers. Both nets are read from safetensors that the preset names; nothing is
downloaded.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from exvideo.clips.filters.filter import Filter
from exvideo.clips.filters.footage import Footage
from exvideo.errors import InputError
from exvideo.weights_digest import weights_digest

if TYPE_CHECKING:
    from torch import Tensor

PLACES = (0.2, 0.5, 0.8)
"""Of the clip's length, where frames are looked at."""

WIDTHS = (1024, 128, 64, 16, 1)
"""Of the layers behind the embedding's 768."""

SIDE = 224
MEAN = np.array((0.48145466, 0.4578275, 0.40821073), np.float32)
DEVIATION = np.array((0.26862954, 0.26130258, 0.27577711), np.float32)
"""Of CLIP's pixels, by channel."""

Layers = list[tuple["Tensor", "Tensor"]]
"""Each linear one's weight and bias."""


@dataclass(frozen=True)
class AestheticScore:
    """Scores a clip; the nets are loaded by the process that scores first."""

    clip: str
    head: str

    def __call__(self, footage: Footage) -> float:
        """The median of three frames, to three places: processors differ in later ones."""
        last = len(footage.frames) - 1
        views = np.stack([_view(footage.frames[round(place * last)]) for place in PLACES])
        return round(float(np.median(_scores(views, *_nets(self.clip, self.head)))), 3)


def aesthetic_filter(clip: str, head: str) -> Filter:
    """The filter with CLIP's folder and the layers' file.

    Raises `InputError` where they can't be read: at once, not after the first video.
    """
    _nets(clip, head)
    score = AestheticScore(clip, head)
    # Other weights give other scores.
    version = int(weights_digest(Path(clip), Path(head))[:12], 16)
    return Filter("aesthetic", "unaesthetic", score, "at least", 4.5, version)


def _view(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[3,224,224] as OpenAI's `preprocess` gives it."""
    height, width = frame.shape[:2]
    scale = SIDE / min(height, width)
    size = max(SIDE, int(width * scale)), max(SIDE, int(height * scale))
    resized = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))
    top, left = (size[1] - SIDE) // 2, (size[0] - SIDE) // 2
    unit = resized[top : top + SIDE, left : left + SIDE].astype(np.float32) / 255
    normal = (unit - MEAN) / DEVIATION
    return np.ascontiguousarray(normal.transpose(2, 0, 1))


def _scores(views: NDArray[np.float32], clip: Any, layers: Layers) -> NDArray[np.float32]:
    """[N] for [N,3,224,224]."""
    import torch
    from torch.nn.functional import linear, normalize

    with torch.inference_mode():
        seen = normalize(clip(torch.from_numpy(views)).image_embeds, dim=-1)
        # Dropout, which stands between the layers, does nothing once they are trained.
        for weight, bias in layers:
            seen = linear(seen, weight, bias)
    scores: NDArray[np.float32] = seen[:, 0].numpy()
    return scores


@cache
def _nets(clip: str, head: str) -> tuple[Any, Layers]:
    from transformers import CLIPVisionModelWithProjection

    load: Any = CLIPVisionModelWithProjection.from_pretrained
    local = {"local_files_only": True, "use_safetensors": True, "trust_remote_code": False}
    try:
        layers = _layers(Path(head))
        net, told = load(clip, **local, output_loading_info=True)
    except Exception as error:  # each library has its own
        raise InputError(f"clips.aesthetic: the weights can't be loaded: {error}") from error
    if missing := [*told["missing_keys"]]:
        raise InputError(f"clips.aesthetic.clip: {clip} lacks {missing[0]}")
    gives, takes = net.config.projection_dim, layers[0][0].shape[1]
    if gives != takes:
        raise InputError(
            f"clips.aesthetic.clip: {clip} gives {gives} numbers, the head takes {takes}: CLIP "
            "ViT-L/14 belongs there"
        )
    return net.float().eval(), layers


def _layers(head: Path) -> Layers:
    """In order. The original's names count the dropouts, too: layers.0, 2, 4, 6 and 7."""
    from safetensors.torch import load_file

    tensors = load_file(head)
    names = sorted(
        (name.removesuffix(".weight") for name in tensors if name.endswith(".weight")),
        key=lambda name: int(name.rpartition(".")[2]),
    )
    layers = [(tensors[f"{n}.weight"].float(), tensors[f"{n}.bias"].float()) for n in names]
    widths = tuple(len(bias) for _, bias in layers)
    if widths != WIDTHS:
        raise ValueError(f"{head} holds layers of {widths}, expected are {WIDTHS}")
    return layers
