"""RAFT as the project calls it, against torchvision's own call and known shifts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.ndimage import gaussian_filter
from torchvision.models.optical_flow import raft_large, raft_small

from exvideo.config import FlowConfig
from exvideo.evaluation.flow import (
    FlowWeightsError,
    dis_flow,
    load_raft,
    network_size,
)


def frames(height: int, width: int, count: int = 3) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(count, height, width, 3))
    smooth = gaussian_filter(noise, (0, 2, 2, 0))
    return np.uint8(np.clip(128 + 400 * smooth, 0, 255))


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return raft_small(weights=None).eval()


@pytest.fixture(scope="module")
def weights(network: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("raft") / "raft.safetensors"
    save_file(network.state_dict(), path)
    return path


def config(weights: Path | str, iterations: int = 2) -> FlowConfig:
    return FlowConfig(model="raft_small", weights=str(weights), iterations=iterations)


def test_flow_is_torchvisions_last_prediction(network: torch.nn.Module, weights: Path) -> None:
    clip = frames(320, 328)
    video = torch.from_numpy(clip).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.inference_mode():
        expected = network(video[:-1], video[1:], num_flow_updates=2)[-1]
    np.testing.assert_allclose(load_raft(config(weights))(clip), expected, atol=1e-4)


def test_many_frames_go_through_in_parts(weights: Path) -> None:
    clip = frames(320, 320, count=12)
    raft = load_raft(config(weights, iterations=1))
    flow = raft(clip)
    assert flow.shape == (11, 2, 320, 320)
    np.testing.assert_allclose(flow[9:], raft(clip[9:]), atol=1e-4)


def test_small_frames_are_enlarged_and_the_flow_scaled_back(weights: Path) -> None:
    raft = load_raft(config(weights))
    small = frames(64, 96)
    video = torch.from_numpy(small).permute(0, 3, 1, 2).float()
    large = torch.nn.functional.interpolate(video, (320, 480), mode="bicubic")
    # Values beyond 0 to 255 stay in the one and not in the other: compare loosely.
    flow = raft(large.clamp(0, 255).round().byte().permute(0, 2, 3, 1).numpy())
    expected = torch.nn.functional.interpolate(torch.from_numpy(flow), (64, 96), mode="bilinear")
    difference = np.abs(raft(small) - expected.numpy() / 5).mean()
    assert difference < 0.008 * np.abs(expected).mean()


@pytest.mark.parametrize(
    ("size", "seen"),
    [((64, 64), (320, 320)), ((64, 96), (320, 480)), ((512, 512), (512, 512)),
     ((324, 400), (320, 400)), ((72, 128), (320, 568))],
)  # fmt: skip
def test_the_network_sees_at_least_320_pixels_in_multiples_of_8(
    size: tuple[int, int], seen: tuple[int, int]
) -> None:
    assert network_size(*size) == seen


def test_a_state_dict_file_loads_as_data_only(network: torch.nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "raft.pth"
    torch.save(network.state_dict(), path)
    assert load_raft(config(path)).name == "raft_small, raft.pth, 2 iterations"


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(FlowWeightsError, match=r"nowhere\.safetensors, which does not exist"):
        load_raft(config(tmp_path / "nowhere.safetensors"))


def test_weights_of_the_other_architecture_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.safetensors"
    save_file(raft_large(weights=None).state_dict(), path)
    with pytest.raises(FlowWeightsError, match="are no weights of raft_small"):
        load_raft(config(path))


def test_dis_finds_a_known_shift() -> None:
    still = frames(72, 72, count=1)[0]
    moved = np.stack([np.roll(still, (2 * t, -t), axis=(0, 1)) for t in range(3)])
    flow = dis_flow(moved)[:, :, 16:-16, 16:-16]
    assert flow.mean(axis=(0, 2, 3)) == pytest.approx([-1, 2], abs=0.2)
