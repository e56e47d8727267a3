"""VBench's metrics by networks that an installed package offers: ones with a known answer."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from exvideo.config import NetworksConfig
from exvideo.errors import InputError
from exvideo.evaluation.metrics.consistency import image_to_video
from exvideo.evaluation.metrics.interpolation import motion_smoothness
from exvideo.evaluation.networks import Networks, load_networks
from tests.evaluation.offered_package import installed

CODE = '''
import torch

class Colours(torch.nn.Module):
    """DreamSim's place: a picture's mean colour."""

    def forward(self, pixels):
        assert pixels.shape[1:] == (3, 224, 224)
        return pixels.mean(dim=(2, 3))

class Brightness(torch.nn.Module):
    """MUSIQ's place: from 0 to 100."""

    def forward(self, pixels):
        assert max(pixels.shape[2:]) <= 512
        return 100 * pixels.mean(dim=(1, 2, 3))

class Mean(torch.nn.Module):
    """AMT's place: the frame between is the mean, plus what is in the weights."""

    def __init__(self, more):
        super().__init__()
        self.more = torch.nn.Parameter(more)

    def forward(self, first, second):
        assert first.shape[2] % 16 == 0 and first.shape[3] % 16 == 0
        return (first + second) / 2 + self.more

def dreamsim(weights):
    return Colours()

def musiq(weights):
    return Brightness()

def amt(weights):
    return Mean(weights["more"])
'''

OFFERED = "[exvideo.networks]\n" + "\n".join(
    f"{name} = vbench_networks:{name}" for name in ("dreamsim", "musiq", "amt")
)


@pytest.fixture
def weights(tmp_path: Path) -> Iterator[str]:
    save_file({"more": torch.tensor(0.5 / 255)}, tmp_path / "weights.safetensors")
    with installed(tmp_path, "vbench_networks", CODE, OFFERED):
        yield str(tmp_path / "weights.safetensors")


@pytest.fixture
def networks(weights: str) -> Networks:
    return load_networks(NetworksConfig(dreamsim=weights, musiq=weights, amt=weights))


def even(colours: list[tuple[int, int, int]], height: int = 20, width: int = 30) -> np.ndarray:
    """A clip whose frames have one colour each."""
    frames = np.array(colours, np.uint8)[:, None, None]
    return np.ascontiguousarray(np.broadcast_to(frames, (len(colours), height, width, 3)))


def test_a_frame_is_guessed_from_its_neighbours_and_held_against_itself(networks: Networks) -> None:
    """Levels 10, 40, 30, 80, 110: the guesses 20 and 70, both 20 and 10 off."""
    clip = even([(it, it, it) for it in (10, 40, 30, 80, 110)])
    found = networks.values(clip, None)["motion_smoothness"]
    assert found == pytest.approx(1 - (20 + 10) / 2 / 255)


def test_the_last_of_an_even_number_of_frames_has_no_guess() -> None:
    clip = even([(it, it, it) for it in (10, 20, 30, 255)])
    guesses: list[tuple[float, float]] = []

    def between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        guesses.append((first.mean(), second.mean()))
        return np.full_like(first, 20)

    assert motion_smoothness(clip, between) == 1
    assert guesses == [(10, 30)]
    assert np.isnan(motion_smoothness(clip[:2], between))


def test_frames_are_scored_one_by_one_and_large_ones_made_smaller(networks: Networks) -> None:
    small = even([(0, 0, 0), (255, 255, 255), (51, 51, 51)])
    assert networks.values(small, None)["imaging_quality"] == pytest.approx(1.2 / 3)
    large = even([(51, 51, 51)], height=400, width=1024)
    assert networks.values(large, None)["imaging_quality"] == pytest.approx(0.2)


def test_the_given_picture_is_compared_by_dreamsim(networks: Networks) -> None:
    red, orange, green = (255, 0, 0), (255, 128, 0), (0, 255, 0)
    clip, given = even([red, orange, green]), even([red])[0]
    colours = np.array([red, orange, green], np.float64)
    expected = image_to_video(colours, colours[0])
    assert networks.values(clip, given)["i2v_background"] == pytest.approx(expected)
    assert "i2v_background" not in networks.values(clip, None)


def test_what_nobody_offers_is_refused(tmp_path: Path) -> None:
    save_file({"more": torch.zeros(1)}, tmp_path / "amt.safetensors")
    with pytest.raises(InputError, match=r"networks\.amt names .*no installed package offers amt"):
        load_networks(NetworksConfig(amt=str(tmp_path / "amt.safetensors")))


def test_a_file_that_could_hold_code_is_refused(weights: str, tmp_path: Path) -> None:
    torch.save({"more": torch.zeros(1)}, tmp_path / "amt.pth")
    with pytest.raises(InputError, match=r"amt takes a \.safetensors file on this machine"):
        load_networks(NetworksConfig(amt=str(tmp_path / "amt.pth")))
    (tmp_path / "cut.safetensors").write_bytes(Path(weights).read_bytes()[:20])
    with pytest.raises(InputError, match="holds no weights of amt"):
        load_networks(NetworksConfig(amt=str(tmp_path / "cut.safetensors")))
