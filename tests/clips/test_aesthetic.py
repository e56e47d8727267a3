"""The aesthetic score: LAION's rule over random weights, and what is said without weights."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

from exvideo.clips.filters.footage import Footage
from exvideo.clips.filters.load import load_filters
from exvideo.config import AestheticConfig, ClipsConfig
from exvideo.errors import InputError
from tests.clips.videos import config

SIZES = (768, 1024, 128, 64, 16, 1)
NAMES = (0, 2, 4, 6, 7)

SMALL = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> AestheticConfig:
    root = tmp_path_factory.mktemp("weights")
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        view = {**SMALL, "patch_size": 32, "image_size": 224, "projection_dim": 768}
        words = {**SMALL, "vocab_size": 100}
        clip = CLIPModel(CLIPConfig(text_config=words, vision_config=view, projection_dim=768))
    for tensor in clip.parameters():
        torch.nn.init.normal_(tensor, std=0.3, generator=generator)
    clip.save_pretrained(root / "clip")
    tensors = {}
    for name, (before, after) in zip(NAMES, pairwise(SIZES), strict=True):
        scale = before**-0.5
        tensors[f"layers.{name}.weight"] = scale * torch.randn(after, before, generator=generator)
        tensors[f"layers.{name}.bias"] = torch.randn(after, generator=generator)
    save_file(tensors, root / "head.safetensors")
    return AestheticConfig(clip=str(root / "clip"), head=str(root / "head.safetensors"))


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (11, 224, 300, 3), dtype=np.uint8)


def reference(frame: np.ndarray, weights: AestheticConfig) -> float:
    """With transformers' own preparation, and the layers as loops of sums."""
    assert weights.clip
    assert weights.head
    model = CLIPModel.from_pretrained(weights.clip).eval()
    pixels = CLIPImageProcessor(use_fast=False)(frame, return_tensors="pt").pixel_values
    with torch.inference_mode():
        pooled = model.vision_model(pixels).pooler_output
        seen = model.visual_projection(pooled)[0].double().numpy()
    from safetensors.numpy import load_file

    tensors = load_file(weights.head)
    values = list(seen / np.sqrt((seen**2).sum()))
    for name in NAMES:
        rows, bias = tensors[f"layers.{name}.weight"], tensors[f"layers.{name}.bias"]
        values = [
            sum(w * v for w, v in zip(row, values, strict=True)) + b
            for row, b in zip(rows.tolist(), bias.tolist(), strict=True)
        ]
    return float(values[0])


def test_the_score_is_laions(weights: AestheticConfig, frames: np.ndarray) -> None:
    found = next(it for it in load_filters(aesthetic=weights) if it.name == "aesthetic")
    expected = np.median([reference(frames[place], weights) for place in (2, 5, 8)])
    assert found.score(Footage(frames, 24.0)) == pytest.approx(expected, abs=2e-3)


def test_other_weights_score_anew(weights: AestheticConfig, tmp_path: Path) -> None:
    assert weights.head
    content = Path(weights.head).read_bytes()
    (tmp_path / "head.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    other = AestheticConfig(clip=weights.clip, head=str(tmp_path / "head.safetensors"))
    one, two = (load_filters(aesthetic=it)[-1] for it in (weights, other))
    assert one.name == "aesthetic"
    assert one.version != two.version


def test_without_weights_there_is_no_score() -> None:
    assert "aesthetic" not in {found.name for found in load_filters()}
    said = {**config().model_dump(), "filters": {"aesthetic": 5.0}}
    with pytest.raises(
        ValidationError, match=r"'aesthetic' is unavailable: clips\.aesthetic names"
    ):
        ClipsConfig.model_validate(said)


def test_weights_that_are_none_are_refused_by_name(
    weights: AestheticConfig, tmp_path: Path
) -> None:
    save_file({"layers.0.weight": torch.zeros(1, 768), "layers.0.bias": torch.zeros(1)},
              tmp_path / "head.safetensors")  # fmt: skip
    wrong = AestheticConfig(clip=weights.clip, head=str(tmp_path / "head.safetensors"))
    with pytest.raises(InputError, match=r"clips.aesthetic: .* holds layers of \(1,\)"):
        load_filters(aesthetic=wrong)
    gone = AestheticConfig(clip=str(tmp_path / "gone"), head=weights.head)
    with pytest.raises(InputError, match=r"clips\.aesthetic: .*gone"):
        load_filters(aesthetic=gone)
