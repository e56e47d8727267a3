"""RAFT as the project calls it, against torchvision's own call and known shifts."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.ndimage import gaussian_filter
from torchvision.models.optical_flow import raft_large, raft_small

from exvideo.config import FlowConfig
from exvideo.errors import InputError
from exvideo.evaluation.flow import (
    PIXELS_AT_ONCE,
    Raft,
    consistent,
    dis_flow,
    load_raft,
    network_size,
)
from exvideo.world import Layer, WorldClip, render_clip


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


@pytest.mark.parametrize("architecture", [raft_small, raft_large])
def test_a_clips_flow_both_ways_is_that_of_plain_calls(architecture: Any) -> None:
    torch.manual_seed(0)
    network = architecture(weights=None).eval()
    clip = frames(320, 320, count=4)
    video = torch.from_numpy(clip).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.inference_mode():
        forward, backward = (
            torch.cat([network(a[None], b[None], num_flow_updates=2)[-1] for a, b in pairs]).numpy()
            for pairs in (pairwise(video), [(b, a) for a, b in pairwise(video)])
        )
    flow, visible = Raft(network, 2, "").both_ways(clip)
    np.testing.assert_allclose(flow, forward, atol=1e-4)
    # Where rounding decides, it may decide otherwise.
    assert (visible == consistent(forward, backward)).mean() > 0.999


def test_each_frame_is_encoded_once_and_only_as_many_at_a_time_as_fit(
    network: torch.nn.Module, weights: Path
) -> None:
    raft = load_raft(config(weights, iterations=1))
    seen: list[torch.Size] = []
    encoder = raft.network.get_submodule("feature_encoder")
    encoder.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape))
    raft.both_ways(frames(128, 128, count=5))
    assert sum(shape[0] for shape in seen) == 5
    assert all(shape[0] * shape[2] * shape[3] <= PIXELS_AT_ONCE["cpu"] for shape in seen)


def test_exact_flow_is_consistent_wherever_a_pixel_is_seen_twice() -> None:
    # A layer that runs over a still ground covers what is before it and uncovers what is behind.
    blob = Layer(
        photograph="brick", centre=(0.5, 0.5), view=0.6, radius=0.2, lobes=2, lobe_depth=0.0,
        position=0j, velocity=0.5 + 0j, spin=0.0,
    )  # fmt: skip
    ground = WorldClip(
        photograph="coffee", centre=(0.5, 0.5), view=0.5, pan=0.2j, growth=0j, layers=(blob,),
        light_angle=0.0, light_strength=0.0,
    )  # fmt: skip
    clip = render_clip(ground, 2, 64, 64, fps=8.0)
    back = _played_backwards(ground, blob)
    found = consistent(clip.flow, back)
    assert 0.02 < (~clip.valid).mean() < 0.2
    # They part in pixels at a layer's rim alone, which bilinear reading mixes with the ground.
    assert (found == clip.valid).mean() > 0.97
    assert found[~clip.valid].mean() < 0.15


def _played_backwards(ground: WorldClip, blob: Layer) -> np.ndarray:
    """Exact flow from the second frame to the first."""
    position = blob.position + blob.velocity / 8
    blob = replace(blob, position=position, velocity=-blob.velocity)
    # The ground pans by the opposite; where it starts from has no part in its flow.
    return render_clip(replace(ground, pan=-ground.pan, layers=(blob,)), 2, 64, 64, fps=8.0).flow


def test_nothing_leaves_a_still_frame_and_all_leaves_one_that_jumps_away() -> None:
    still = np.zeros((1, 2, 16, 16), np.float32)
    assert consistent(still, still).all()
    jump = np.full((1, 2, 16, 16), 20, np.float32)
    assert not consistent(jump, -jump).any()


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
    with pytest.raises(InputError, match=r"nowhere\.safetensors, which does not exist"):
        load_raft(config(tmp_path / "nowhere.safetensors"))


def test_weights_of_the_other_architecture_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.safetensors"
    save_file(raft_large(weights=None).state_dict(), path)
    with pytest.raises(InputError, match="are no weights of raft_small"):
        load_raft(config(path))


def test_dis_finds_a_known_shift() -> None:
    still = frames(72, 72, count=1)[0]
    moved = np.stack([np.roll(still, (2 * t, -t), axis=(0, 1)) for t in range(3)])
    flow = dis_flow(moved)[:, :, 16:-16, 16:-16]
    assert flow.mean(axis=(0, 2, 3)) == pytest.approx([-1, 2], abs=0.2)
