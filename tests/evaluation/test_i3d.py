"""I3D and the Fréchet video distance by it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from exvideo.config import NetworksConfig
from exvideo.errors import InputError
from exvideo.evaluation.folder import read_numbers
from exvideo.evaluation.i3d import BLOCKS, I3d, _padded
from exvideo.evaluation.metrics import frechet_distance
from exvideo.evaluation.networks import NO_NETWORKS, Networks, load_networks
from pipelines.measure import main
from tests.evaluation.offered_package import installed
from tests.evaluation.test_folder import video

STILL = """
import torch

class Still(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.none = torch.nn.Parameter(torch.zeros(1))

    def forward(self, first, second, iterations):
        return torch.zeros_like(first[:, :2])

def load(weights):
    return Still()
"""
"""In RAFT's place, which takes long."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("i3d") / "rgb_imagenet.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = I3d()
        for it in network.parameters():
            if it.ndim == 5:
                torch.nn.init.kaiming_normal_(it)  # or it would answer all clips alike
        save_file(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def networks(weights: Path) -> Networks:
    return load_networks(NetworksConfig(i3d=str(weights)))


def test_its_tensors_are_those_of_the_published_file() -> None:
    network = I3d()
    # pytorch-i3d's, which convert DeepMind's checkpoint: 12,697,264 weights of 57 convolutions.
    assert sum(it.numel() for it in network.parameters()) == 12_697_264
    shapes = {name: tuple(it.shape) for name, it in network.state_dict().items()}
    assert sum(name.endswith("conv3d.weight") for name in shapes) == 3 + 6 * len(BLOCKS) + 1
    assert shapes["Conv3d_1a_7x7.conv3d.weight"] == (64, 3, 7, 7, 7)
    assert shapes["Mixed_4f.b2b.conv3d.weight"] == (128, 32, 3, 3, 3)
    assert shapes["Mixed_5c.b3b.bn.running_var"] == (128,)
    assert shapes["logits.conv3d.bias"] == (400,)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "before", "after"),
    [(224, 7, 2, 2, 3), (9, 7, 2, 3, 3), (112, 3, 2, 0, 1), (7, 3, 1, 1, 1), (5, 2, 2, 0, 1)],
)
def test_padding_is_tensorflows_same(
    size: int, kernel: int, stride: int, before: int, after: int
) -> None:
    """Output of ceil(size / stride), the odd zero at the end, as tf.nn says."""
    found = _padded(torch.ones(1, 1, size, 1, 1), (kernel, 1, 1), (stride, 1, 1))[0, 0, :, 0, 0]
    assert found.tolist() == [0.0] * before + [1.0] * size + [0.0] * after
    assert len(found.unfold(0, kernel, stride)) == -(-size // stride)


def test_a_clip_is_shown_to_it_in_the_middle_and_its_answers_are_averaged(
    networks: Networks, weights: Path
) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (17, 224, 300, 3), dtype=np.uint8)
    middle = torch.from_numpy(frames)[:, :, 38:262].permute(3, 0, 1, 2)[None] / 127.5 - 1
    network = I3d().eval()
    network.load_state_dict(load_file(weights))
    answers: list[torch.Tensor] = []
    network.logits.register_forward_hook(lambda *it: answers.append(it[-1]))
    with torch.inference_mode():
        network(middle)
    assert answers[0].shape == (1, 400, 2, 1, 1), "17 frames are 3 steps, pooled in pairs"
    expected = answers[0].mean(dim=(2, 3, 4))[0]
    np.testing.assert_allclose(networks.video_features(frames), expected, atol=1e-5)


def test_too_short_a_clip_has_no_features(networks: Networks) -> None:
    assert networks.video_features(np.zeros((8, 32, 32, 3), np.uint8)) is None
    assert networks.video_features(np.zeros((9, 32, 32, 3), np.uint8)) is not None
    assert NO_NETWORKS.video_features(np.zeros((9, 32, 32, 3), np.uint8)) is None


def test_a_torch_file_is_read_as_data_only(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "rgb_imagenet.pt"
    torch.save(load_file(weights), path)
    assert load_networks(NetworksConfig(i3d=str(path))).found.keys() == {"i3d"}
    torch.save({"state": Path}, path)
    with pytest.raises(InputError, match=r"networks\.i3d: .*can't be loaded: Weights only load"):
        load_networks(NetworksConfig(i3d=str(path)))


def test_another_networks_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"conv.weight": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="tensors are missing or not I3D's, such as Conv3d_1a"):
        load_networks(NetworksConfig(i3d=str(path)))
    with pytest.raises(InputError, match=r"gone\.pt can't be loaded: .*No such file"):
        load_networks(NetworksConfig(i3d=str(tmp_path / "gone.pt")))


def test_two_folders_have_a_distance_whatever_their_videos_are_called(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(2):
        video(tmp_path / "ours" / f"{seed}.mp4", [1.0] * 8, seed)
        video(tmp_path / "other" / f"another-{seed}.mp4", [3.0] * 8, seed + 2)
    numbers = tmp_path / "numbers.json"
    folders = [str(tmp_path / it) for it in ("ours", "other")]
    settings = [f"networks.i3d={weights}", "flow.model=still", f"flow.weights={weights}"]
    words = [folders[0], "--against", folders[1], "--json", str(numbers)]
    words += [it for pair in settings for it in ("--set", f"evaluation.{pair}")]
    with installed(tmp_path, "still", STILL, "[exvideo.flow]\nstill = still:load\n"):
        assert main(words) == 0
    assert "fvd, the Fréchet video distance of 2 and 2 videos: " in capsys.readouterr().out
    ours = read_numbers(numbers)
    (compared,) = ours.against
    features = [[it.features for it in folder.videos] for folder in (ours, compared.other)]
    assert compared.pairs == 0
    assert compared.fvd == frechet_distance(*map(np.array, features))
