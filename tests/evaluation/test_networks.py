"""Metrics of further networks: VBench's rules over random weights, and what is said without."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    ViTConfig,
    ViTModel,
)

from exvideo.config import NetworksConfig
from exvideo.errors import InputError
from exvideo.evaluation.metrics.consistency import consistency, image_to_video
from exvideo.evaluation.networks import NO_NETWORKS, Networks, load_networks
from exvideo.evaluation.numbers import DEFINITIONS

SHAPE = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "patch_size": 32,
    "image_size": 224,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> NetworksConfig:
    root = tmp_path_factory.mktemp("networks")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        clip = CLIPVisionModelWithProjection(CLIPVisionConfig(**SHAPE, projection_dim=8))
        dino = ViTModel(ViTConfig(**SHAPE), add_pooling_layer=False)
        for weights in (*clip.parameters(), *dino.parameters()):
            torch.nn.init.normal_(weights, std=0.3)  # or all pictures would look alike to them
    clip.save_pretrained(root / "clip")
    dino.save_pretrained(root / "dino")
    return NetworksConfig(clip=str(root / "clip"), dino=str(root / "dino"))


@pytest.fixture(scope="module")
def networks(folders: NetworksConfig) -> Networks:
    return load_networks(folders)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (4, 224, 288, 3), dtype=np.uint8)


def vbench(features: torch.Tensor) -> float:
    """The loop of VBench's subject_consistency.py and background_consistency.py."""
    total = 0.0
    for i in range(1, len(features)):
        before = max(0.0, F.cosine_similarity(features[i - 1], features[i], dim=0).item())
        first = max(0.0, F.cosine_similarity(features[0], features[i], dim=0).item())
        total += (before + first) / 2
    return total / (len(features) - 1)


def normalised(pixels: torch.Tensor, mean: list[float], std: list[float]) -> torch.Tensor:
    return (pixels / 255 - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


def test_clip_and_dino_are_asked_what_vbench_asks_them(
    networks: Networks, folders: NetworksConfig, frames: np.ndarray
) -> None:
    # The short side is 224 already: only CLIP's view is cut to a square.
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    clip = CLIPVisionModelWithProjection.from_pretrained(folders.clip).eval()
    dino = ViTModel.from_pretrained(folders.dino, add_pooling_layer=False).eval()
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    with torch.inference_mode():
        seen = clip(normalised(pixels[..., 32:-32], mean, std)).image_embeds
        mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        whole = normalised(pixels, mean, std)
        looked = dino(whole, interpolate_pos_encoding=True).last_hidden_state[:, 0]
    values = networks.values(frames, None)
    assert values["background_consistency"] == pytest.approx(vbench(seen), abs=1e-5)
    assert values["subject_consistency"] == pytest.approx(vbench(looked), abs=1e-5)
    assert "i2v_subject" not in values, "there is no given picture"


def test_a_still_clip_of_its_own_picture_is_wholly_consistent(
    networks: Networks, frames: np.ndarray
) -> None:
    still = np.repeat(frames[:1], 3, axis=0)
    assert networks.values(still, frames[0]) == {
        "background_consistency": pytest.approx(1),
        "subject_consistency": pytest.approx(1),
        "i2v_subject": pytest.approx(1),
    }


def test_the_picture_is_compared_as_vbench_i2v_weighs_it() -> None:
    east, north, west = np.array([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]])
    diagonal = np.array([1.0, 1.0])
    # To the picture: 1, 0.71 and 0 for the opposite; between neighbours: 0.71 and 0.71 of the root.
    assert image_to_video(np.stack([east, diagonal, north]), east) == pytest.approx(
        0.4 * 1 + 0.3 * 0.5**0.5 + 0.3 * 0.5**0.5
    )
    assert image_to_video(np.stack([east, diagonal, west]), west) == pytest.approx(
        0.4 * 1 + 0.3 * 0.5**0.5 / 2
    )
    assert consistency(np.stack([east, west])) == 0, "no cosine counts less than nothing"
    assert np.isnan(consistency(east[None]))


def test_what_is_not_measured_is_named_with_the_reason(networks: Networks) -> None:
    lacking = NO_NETWORKS.unavailable()
    assert lacking["subject_consistency"].startswith("evaluation.networks.dino names no weights")
    assert networks.unavailable().keys() == {
        "i2v_background", "imaging_quality", "motion_smoothness", "fvd",
    }  # fmt: skip
    assert lacking.keys() - DEFINITIONS.keys() == {"fvd"}, "it is a whole phase's"


def test_a_protocol_names_the_networks_by_their_weights(networks: Networks, tmp_path: Path) -> None:
    assert networks.weights.keys() == {"clip", "dino"}
    assert networks.weights["clip"] != networks.weights["dino"]


def test_a_folder_that_holds_no_whole_network_is_refused(
    folders: NetworksConfig, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"networks\.dino names .*no \.safetensors"):
        load_networks(NetworksConfig(dino=str(tmp_path)))
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(InputError, match=r"no \.safetensors"):
        load_networks(NetworksConfig(clip=str(tmp_path)))
    half = tmp_path / "half"
    half.mkdir()
    config = json.loads(Path(str(folders.dino), "config.json").read_text())
    (half / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 2}))
    weights = Path(str(folders.dino), "model.safetensors").read_bytes()
    (half / "model.safetensors").write_bytes(weights)
    with pytest.raises(InputError, match="tensors are missing, such as"):
        load_networks(NetworksConfig(dino=str(half)))
