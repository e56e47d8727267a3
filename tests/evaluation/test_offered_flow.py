"""A package's own flow network takes RAFT's place by an entry point and a file of weights."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from exvideo.config import FlowConfig, PresetError, load_preset
from exvideo.errors import InputError
from exvideo.evaluation.flow import Raft, load_raft
from tests.evaluation.offered_package import installed

CODE = '''
import torch

class Brighter(torch.nn.Module):
    """Flow to the right by what the next frame is brighter, and down by what is in the weights."""

    def __init__(self, down):
        super().__init__()
        self.down = torch.nn.Parameter(down)

    def forward(self, first, second, iterations):
        n, _, height, width = first.shape
        right = (second - first).mean(dim=(1, 2, 3)) * iterations
        return torch.stack([right, self.down.expand(n)], dim=1)[..., None, None].expand(
            n, 2, height, width
        )

def load(weights):
    return Brighter(weights["down"])
'''


@pytest.fixture
def config(tmp_path: Path) -> Iterator[FlowConfig]:
    save_file({"down": torch.tensor(5.0)}, tmp_path / "down.safetensors")
    weights = str(tmp_path / "down.safetensors")
    with installed(tmp_path, "brighter", CODE, "[exvideo.flow]\nbrighter = brighter:load\n"):
        yield FlowConfig(model="brighter", weights=weights, iterations=2)


@pytest.fixture
def raft(config: FlowConfig) -> Raft:
    return load_raft(config)


def test_each_pair_is_asked_in_its_order_and_scaled_back_to_the_clip(raft: Raft) -> None:
    levels = np.array([0, 51, 255], np.uint8)
    frames = np.broadcast_to(levels[:, None, None, None], (3, 160, 320, 3))
    flow = raft(np.ascontiguousarray(frames))
    # The network sees 320x640; a step of 51 levels is 0.4 of [-1, 1].
    np.testing.assert_allclose(flow[:, 0].mean(axis=(1, 2)), [0.4, 1.6], rtol=1e-4)
    np.testing.assert_allclose(flow[:, 1], 2.5)
    assert raft.name == "brighter, down.safetensors, 2 iterations"


def test_a_way_back_that_leads_elsewhere_is_occluded(raft: Raft) -> None:
    frames = np.full((2, 320, 320, 3), 128, np.uint8)
    _, visible = raft.both_ways(frames)
    assert not visible.any(), "down by 5 pixels both ways"


def test_weights_of_another_network_or_none_are_refused(config: FlowConfig) -> None:
    save_file({"up": torch.tensor(5.0)}, config.weights)
    with pytest.raises(InputError, match="holds no weights of brighter: 'down'"):
        load_raft(config)
    for weights in ("torchvision", "gone.safetensors", __file__):
        with pytest.raises(InputError, match=r"brighter takes a \.safetensors file"):
            load_raft(config.model_copy(update={"weights": weights}))


def test_a_network_that_nobody_offers_is_refused_by_the_preset() -> None:
    with pytest.raises(PresetError, match=r"no flow network 'raft_smal'; did you mean raft_small"):
        load_preset("tiny", {"evaluation.flow.model": "raft_smal"})
