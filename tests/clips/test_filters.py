"""Each filter on footage with a known fault, and that the same footage without it passes."""

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from exvideo.clips.filters import names
from exvideo.clips.filters.filter import Filter
from exvideo.clips.filters.footage import Footage
from exvideo.clips.filters.load import load_filters
from exvideo.clips.filters.names import OWN
from exvideo.config import PROJECT, ClipsConfig
from exvideo.world import TRAIN_PHOTOGRAPHS, random_spec, render_clip
from tests.clips.videos import config

Frames = NDArray[np.uint8]
SIDE, COUNT = 96, 24


def sound(photograph: str = "astronaut", count: int = COUNT, speed: float = 0.01) -> Frames:
    spec = random_spec(3, (photograph,), fps=24, speed=speed, max_layers=0)
    return render_clip(spec, count, SIDE, SIDE, fps=24).frames


def shaken(frames: Frames, by: int) -> Frames:
    """To and fro by `by` px, every frame."""
    return np.stack([np.roll(f, by * (k % 2), axis=1)[:, by:-by] for k, f in enumerate(frames)])


def with_frames(frames: Frames, places: slice, value: int) -> Frames:
    changed = frames.copy()
    changed[places] = value
    return changed


def bordered(frames: Frames, by: int) -> Frames:
    changed = frames.copy()
    changed[:, :by] = changed[:, -by:] = 16
    return changed


def blurred(frames: Frames) -> Frames:
    return np.stack([cv2.GaussianBlur(frame, (0, 0), 6) for frame in frames]).astype(np.uint8)


DAMAGED = {
    "black": with_frames(sound(), slice(5, 7), 0),
    "contrast": with_frames(sound(), slice(None), 90),
    "motion": np.repeat(sound(count=1), COUNT, axis=0),
    "speed": np.stack([np.roll(sound(count=1)[0], 14 * k, axis=1) for k in range(COUNT)]),
    "shake": shaken(sound(), 4),
    "flash": with_frames(sound(), slice(8, 10), 255),
    "repeats": np.repeat(sound(count=COUNT // 2, speed=0.02), 2, axis=0),
    "sharpness": blurred(sound()),
    "overexposure": np.clip(sound().astype(int) + 200, 0, 255).astype(np.uint8),
    "underexposure": (sound() * 0.03).astype(np.uint8),
    "border": bordered(sound(), 8),
}


@pytest.fixture(scope="module")
def filters() -> dict[str, Filter]:
    return {found.name: found for found in load_filters()}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_fault_is_seen(filters: dict[str, Filter], name: str) -> None:
    found = filters[name]
    score = found.score(Footage(DAMAGED[name], 24.0))
    assert not found.passes(score, found.threshold), score


def test_every_filter_is_tested() -> None:
    assert set(DAMAGED) == set(OWN)


@pytest.mark.parametrize("photograph", TRAIN_PHOTOGRAPHS[:6])
def test_sound_footage_passes_every_filter(filters: dict[str, Filter], photograph: str) -> None:
    footage = Footage(sound(photograph), 24.0)
    faults = [
        found.reason(found.score(footage), found.threshold)
        for name, found in filters.items()
        if name in OWN and not found.passes(found.score(footage), found.threshold)
    ]
    assert faults == []


@pytest.mark.parametrize(("name", "share"), [("black", 2 / COUNT), ("border", 1 / 6)])
def test_a_share_is_a_share(filters: dict[str, Filter], name: str, share: float) -> None:
    score = filters[name].score(Footage(DAMAGED[name], 24.0))
    assert score == pytest.approx(share, abs=0.03)


def test_the_shake_of_a_camera_that_jumps_to_and_fro_is_four_times_the_jump(
    filters: dict[str, Filter],
) -> None:
    still = np.repeat(sound(count=1), COUNT, axis=0)
    score = filters["shake"].score(Footage(shaken(still, 3), 24.0))
    assert score == pytest.approx(4 * 3 / (SIDE - 6), rel=0.15)


def test_every_fifth_frame_repeated_is_a_fifth(filters: dict[str, Filter]) -> None:
    frames = sound(count=80, speed=0.02)[np.floor(np.arange(100) * 0.8).astype(int)]
    noise = np.random.default_rng(0).integers(-1, 2, frames.shape)
    encoded = np.clip(frames + noise, 0, 255).astype(np.uint8)
    assert filters["repeats"].score(Footage(encoded, 30.0)) == pytest.approx(0.2, abs=0.03)


def test_a_fade_is_no_flash(filters: dict[str, Filter]) -> None:
    fade = np.linspace(0.3, 1.0, COUNT)[:, None, None, None] * sound()
    flash = filters["flash"]
    assert flash.passes(flash.score(Footage(fade.astype(np.uint8), 24.0)), flash.threshold)


def test_an_unknown_filter_in_a_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no filter 'sharpnes'; did you mean sharpness\?.*black"):
        config(filters={"sharpnes": 3.0})


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package of somebody's own with a filter."""
    (tmp_path / "greenness.py").write_text(
        "from exvideo.clips.filters.filter import Filter\n"
        "def greenness(footage):\n"
        "    return float(footage.frames[..., 1].mean() / 255)\n"
        "FILTER = Filter('greenness', 'too green', greenness, 'at most', 0.9)\n"
    )
    metadata = tmp_path / "greenness-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: greenness\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[exvideo.filters]\ngreenness = greenness:FILTER\n")
    monkeypatch.syspath_prepend(tmp_path)
    names.offered.cache_clear()
    yield
    names.offered.cache_clear()
    sys.modules.pop("greenness", None)


@pytest.mark.usefixtures("installed")
def test_an_installed_package_adds_a_filter() -> None:
    found = load_filters()[-1]
    assert found.name == "greenness"
    assert found.score(Footage(np.full((2, 8, 8, 3), 51, np.uint8), 24.0)) == pytest.approx(0.2)
    settings: ClipsConfig = config(filters={"greenness": 0.1})
    assert settings.filters == {"greenness": 0.1}


def test_the_documentation_has_every_filter_and_its_default(filters: dict[str, Filter]) -> None:
    page = (PROJECT / "docs" / "curation.md").read_text()
    for found in filters.values():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{found.name}` |"))
        assert f"| {found.fault} |" in row
        assert row.endswith(f"| {found.keeps} {found.threshold:g} |")
