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
from exvideo.clips.filters.names import OPTIONAL, OWN
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


def dissolved(one: Frames, other: Frames) -> Frames:
    """From one to the other over 10 frames in the middle."""
    share = np.clip((np.arange(len(one)) - len(one) / 2 + 5) / 10, 0, 1)[:, None, None, None]
    return ((1 - share) * one + share * other).astype(np.uint8)


def woven(frames: Frames) -> Frames:
    """Half as many frames: the even rows of one, the odd rows of the next."""
    fields = frames[::2].copy()
    fields[:, 1::2] = frames[1::2, 1::2]
    return fields


def marked(frames: Frames, words: str) -> Frames:
    """Letters over the middle of every frame."""
    font, white = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255)
    return np.stack([cv2.putText(f.copy(), words, (4, 56), font, 0.5, white) for f in frames])


def blurred(frames: Frames) -> Frames:
    return np.stack([cv2.GaussianBlur(frame, (0, 0), 6) for frame in frames]).astype(np.uint8)


DAMAGED = {
    "black": with_frames(sound(), slice(5, 7), 0),
    "contrast": with_frames(sound(), slice(None), 90),
    "motion": np.repeat(sound(count=1), COUNT, axis=0),
    "speed": np.stack([np.roll(sound(count=1)[0], 14 * k, axis=1) for k in range(COUNT)]),
    "shake": shaken(sound(), 4),
    "flash": with_frames(sound(), slice(8, 10), 255),
    "dissolve": dissolved(sound(), sound("coffee")),
    "interlaced": woven(sound(count=2 * COUNT)),
    "repeats": np.repeat(sound(count=COUNT // 2, speed=0.02), 2, axis=0),
    "sharpness": blurred(sound()),
    "overexposure": np.clip(sound().astype(int) + 200, 0, 255).astype(np.uint8),
    "underexposure": (sound() * 0.03).astype(np.uint8),
    "border": bordered(sound(), 8),
    "text": marked(sound(), "PREVIEW"),
}


@pytest.fixture(scope="module")
def filters() -> dict[str, Filter]:
    return {found.name: found for found in load_filters(OPTIONAL)}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_fault_is_seen(filters: dict[str, Filter], name: str) -> None:
    found = filters[name]
    score = found.score(Footage(DAMAGED[name], 24.0))
    assert not found.passes(score, found.threshold), score


def test_every_filter_is_tested() -> None:
    assert set(DAMAGED) == {*OWN, *OPTIONAL}


@pytest.mark.parametrize("photograph", TRAIN_PHOTOGRAPHS[:6])
def test_sound_footage_passes_every_filter(filters: dict[str, Filter], photograph: str) -> None:
    footage = Footage(sound(photograph), 24.0)
    faults = [
        found.reason(found.score(footage), found.threshold)
        for name, found in filters.items()
        if name in DAMAGED and not found.passes(found.score(footage), found.threshold)
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


@pytest.mark.parametrize("along", ["width", "height"])
def test_a_pan_is_no_dissolve(filters: dict[str, Filter], along: str) -> None:
    wide = np.concatenate([sound("coffee", 1)[0], sound("china", 1)[0]], axis=1)
    pan = np.stack([wide[:, 4 * k : 4 * k + SIDE] for k in range(COUNT)])
    frames = pan if along == "width" else pan.transpose(0, 2, 1, 3)
    assert filters["dissolve"].score(Footage(np.ascontiguousarray(frames), 24.0)) < 0.1


def test_a_dissolve_between_two_pictures_is_as_deep_as_their_mean_is_shallow(
    filters: dict[str, Filter],
) -> None:
    rng = np.random.default_rng(0)
    one, other = (np.repeat(rng.integers(0, 256, (1, 64, 64, 1)), 24, axis=0) for _ in range(2))
    frames = dissolved(*(np.repeat(noise, 3, axis=3).astype(np.uint8) for noise in (one, other)))
    # Of two pictures without anything in common, half the variance is left halfway.
    assert filters["dissolve"].score(Footage(frames, 24.0)) == pytest.approx(0.5, abs=0.05)


def test_fine_texture_in_motion_is_not_interlaced(filters: dict[str, Filter]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, 2 * SIDE, 1), np.uint8)
    texture = np.repeat(noise, 3, axis=2)
    frames = np.stack([texture[:, 2 * k : 2 * k + SIDE] for k in range(COUNT)])
    found = filters["interlaced"]
    assert found.passes(found.score(Footage(frames, 24.0)), found.threshold)


def test_text_that_passes_by_is_no_watermark(filters: dict[str, Filter]) -> None:
    frames = sound()
    frames[10:14] = marked(frames[10:14], "PREVIEW")
    assert filters["text"].score(Footage(frames, 24.0)) == 0


def test_an_optional_filter_scores_only_where_it_is_named() -> None:
    assert not set(OPTIONAL) & {found.name for found in load_filters()}
    assert "text" in {found.name for found in load_filters({"text": None})}


def test_an_optional_filter_without_its_packages_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(names.OPTIONAL, "text", ("no_such_package",))
    with pytest.raises(ValueError, match=r"'text' is unavailable: install no_such_package"):
        config(filters={"text": 0.01})


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
