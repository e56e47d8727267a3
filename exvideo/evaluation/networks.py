"""Metrics that take a network of their own: measured where its weights lie here, else not at all.

Nothing is downloaded, and no file is read that can hold code.
"""

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from exvideo.config import NetworksConfig
from exvideo.errors import InputError
from exvideo.evaluation import i3d
from exvideo.evaluation.metrics.consistency import consistency, image_to_video
from exvideo.evaluation.metrics.interpolation import motion_smoothness
from exvideo.evaluation.network_views import (
    clip_view,
    dino_view,
    dreamsim_view,
    i2v_dino_view,
    i3d_view,
    musiq_view,
    unit,
)
from exvideo.evaluation.offered import load_offered
from exvideo.weights_digest import weights_digest

NetworkMetric = Literal[
    "subject_consistency",
    "background_consistency",
    "i2v_subject",
    "i2v_background",
    "imaging_quality",
    "motion_smoothness",
]

KEY = "evaluation.networks"

GROUP = "exvideo.networks"
"""The group of entry points of networks whose code is not here."""

FRAMES_AT_ONCE = 16

PAD = 16
"""AMT takes sides that are its multiples."""

METRICS = {
    "background_consistency": ("clip", "CLIP ViT-B/32"),
    "subject_consistency": ("dino", "DINO ViT-B/16"),
    "i2v_subject": ("dino", "DINO ViT-B/16"),
    "i2v_background": ("dreamsim", "DreamSim"),
    "imaging_quality": ("musiq", "MUSIQ (SPAQ)"),
    "motion_smoothness": ("amt", "AMT-S"),
    "fvd": ("i3d", "I3D (Kinetics-400)"),
}
"""Which network a metric takes, by its key in the preset, and what it is called."""

Network = Callable[..., Tensor]


@dataclass(frozen=True)
class Networks:
    """What is there of the networks, by their keys in the preset."""

    found: Mapping[str, Network] = field(default_factory=dict)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    weights: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of each one's weights."""

    def unavailable(self) -> dict[str, str]:
        """Metrics that are not measured, each with the reason."""
        return {
            metric: f"{KEY}.{key} names no weights of {what}"
            for metric, (key, what) in METRICS.items()
            if key not in self.found
        }

    @torch.inference_mode()
    def values(self, frames: np.ndarray, given: np.ndarray | None) -> dict[NetworkMetric, float]:
        """The metrics of a clip, uint8 [T, H, W, 3], and of the picture it was given, [H, W, 3]."""
        values: dict[NetworkMetric, float] = {}
        if "clip" in self.found:
            seen = self._of_each("clip", frames, clip_view)
            values["background_consistency"] = consistency(seen)
        if "dino" in self.found:
            seen = self._of_each("dino", frames, dino_view)
            values["subject_consistency"] = consistency(seen)
            if given is not None:
                values["i2v_subject"] = self._to_the_given("dino", frames, given, i2v_dino_view)
        if "dreamsim" in self.found and given is not None:
            values["i2v_background"] = self._to_the_given("dreamsim", frames, given, dreamsim_view)
        if "musiq" in self.found:
            values["imaging_quality"] = (
                float(self._of_each("musiq", frames, musiq_view).mean()) / 100
            )
        if "amt" in self.found:
            values["motion_smoothness"] = motion_smoothness(frames, self._between)
        return values

    @torch.inference_mode()
    def video_features(self, frames: np.ndarray) -> np.ndarray | None:
        """I3D's answers to a clip, [400], for the Fréchet video distance.

        None without I3D, and for fewer than 9 frames.
        """
        if "i3d" not in self.found or len(frames) < i3d.MIN_FRAMES:
            return None
        video = i3d_view(self._pixels(frames)).transpose(0, 1)
        return self.found["i3d"](video[None])[0].float().cpu().numpy()

    def _to_the_given(
        self, key: str, frames: np.ndarray, given: np.ndarray, view: Callable[[Tensor], Tensor]
    ) -> float:
        picture = self._of_each(key, given[None], view)[0]
        return image_to_video(self._of_each(key, frames, view), picture)

    def _of_each(
        self, key: str, frames: np.ndarray, view: Callable[[Tensor], Tensor]
    ) -> np.ndarray:
        """A network's answer to each frame, float32 [T, ...]."""
        starts = range(0, len(frames), FRAMES_AT_ONCE)
        parts = [self._pixels(frames[start : start + FRAMES_AT_ONCE]) for start in starts]
        return torch.cat([self.found[key](view(part)).float().cpu() for part in parts]).numpy()

    def _between(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """AMT's frame between two, uint8 [H, W, 3], the rim repeated up to sides of 16."""
        height, width = first.shape[:2]
        missing, lacking = -height % PAD, -width % PAD
        pads = [lacking // 2, lacking - lacking // 2, missing // 2, missing - missing // 2]
        pair = F.pad(unit(self._pixels(np.stack([first, second]))), pads, mode="replicate")
        found = self.found["amt"](pair[:1], pair[1:])[0].permute(1, 2, 0)
        inside = found[pads[2] : pads[2] + height, pads[0] : pads[0] + width]
        # Cut off, not rounded, as VBench does.
        return (inside * 255).clamp(0, 255).to(torch.uint8).cpu().numpy()

    def _pixels(self, frames: np.ndarray) -> Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
        return pixels.to(self.device)


NO_NETWORKS = Networks()


def load_networks(config: NetworksConfig, device: torch.device | str = "cpu") -> Networks:
    """The networks whose weights the preset names. Raises `InputError`."""
    device = torch.device(device)
    named = {key: path for key, path in config.model_dump().items() if path is not None}
    found = {key: _load(key, path).eval().to(device) for key, path in named.items()}
    return Networks(found, device, {key: weights_digest(Path(path)) for key, path in named.items()})


def _load(key: str, path: str) -> Any:
    own = {"clip": _load_clip, "dino": _load_dino, "i3d": _load_i3d}
    if key not in own:
        return load_offered(GROUP, key, path, f"{KEY}.{key}")
    if key != "i3d" and not any(Path(path).glob("*.safetensors")):
        raise InputError(
            f"{KEY}.{key} names {path}, which holds no .safetensors file: give a "
            "folder in the layout of Hugging Face's transformers"
        )
    try:
        return own[key](path)
    except (OSError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        raise InputError(f"{KEY}.{key}: {path} can't be loaded: {error}") from error


def _load_i3d(path: str) -> Any:
    network = i3d.I3d()
    if Path(path).suffix == ".safetensors":
        state = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
    told = network.load_state_dict(state, strict=False)
    if wrong := [*told.missing_keys, *told.unexpected_keys]:
        raise ValueError(f"{len(wrong)} tensors are missing or not I3D's, such as {wrong[0]}")
    return network


def _load_clip(path: str) -> Any:
    from transformers import CLIPVisionModelWithProjection

    class Clip(torch.nn.Module):
        """OpenAI's `encode_image`: the projected class token."""

        def __init__(self) -> None:
            super().__init__()
            self.vision = _whole(CLIPVisionModelWithProjection, path)

        def forward(self, pixels: Tensor) -> Tensor:
            embeds: Tensor = self.vision(pixels).image_embeds
            return embeds

    return Clip()


def _load_dino(path: str) -> Any:
    from transformers import ViTModel

    class Dino(torch.nn.Module):
        """The class token after the last norm, as DINO's own forward gives it."""

        def __init__(self) -> None:
            super().__init__()
            self.vit = _whole(ViTModel, path, add_pooling_layer=False)

        def forward(self, pixels: Tensor) -> Tensor:
            # Frames keep their aspect ratio in VBench, and positions are interpolated.
            seen: Tensor = self.vit(pixels, interpolate_pos_encoding=True).last_hidden_state
            return seen[:, 0]

    return Dino()


def _whole(model: Any, path: str, **options: Any) -> Any:
    """Refuse weights of which some are missing: they would be random."""
    network, told = model.from_pretrained(
        path,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        dtype=torch.float32,
        output_loading_info=True,
        **options,
    )
    if missing := [*told["missing_keys"]]:
        raise ValueError(f"{len(missing)} tensors are missing, such as {missing[0]}")
    return network
