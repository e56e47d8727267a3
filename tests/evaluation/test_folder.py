"""Any folder of videos: measured, named where that fails, compared with another."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from exvideo.video.write import write_mp4
from pipelines.measure import main

SIZE, FRAMES = 64, 8
FAST = ["--set", "evaluation.flow.iterations=2"]


def video(path: Path, steps: list[float], seed: int = 0, fps: int = 24) -> None:
    """A texture that moves by so many pixels to the right from each frame to the next."""
    rng = np.random.default_rng(seed)
    texture = gaussian_filter(rng.normal(size=(SIZE, 4 * SIZE)), 2, mode="wrap")
    texture = np.uint8(np.clip(128 + 400 * texture, 0, 255))
    places = np.rint(np.cumsum([SIZE, *steps])).astype(int)
    frames = [np.repeat(texture[:, x : x + SIZE, None], 3, 2) for x in places]
    path.parent.mkdir(exist_ok=True)
    write_mp4(path, np.stack(frames), fps=fps)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Five steady pans, and the same five textures that shake."""
    root = tmp_path_factory.mktemp("videos")
    for seed in range(5):
        video(root / "steady" / f"{seed}.mp4", [2.0] * (FRAMES - 1), seed)
        shaken = [2.0 + 2 * (-1) ** it for it in range(FRAMES - 1)]
        video(root / "shaken" / f"{seed}.mp4", shaken, seed)
    return root / "steady", root / "shaken"


def measured(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main([*words, *FAST])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_shaking_folder_is_told_from_a_steady_one(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steady, shaken = folders
    out = tmp_path / "numbers.json"
    code, said, _ = measured(capsys, str(shaken), "--against", str(steady), "--json", str(out))
    assert code == 0
    assert "5 videos (8 frames at 24 a second, 64x64)" in said
    jitter = json.loads(out.read_text())["summary"]["dis_jitter"]
    assert jitter["interval"][0] < jitter["mean"] < jitter["interval"][1]
    table = said[said.index("videos of the same name") :]
    (line,) = (it for it in table.splitlines() if it.split()[:1] == ["dis_jitter"])
    low, high = (float(it) for it in line.split()[2::2][:2])
    assert 0 < low < high


def test_a_broken_and_a_short_video_are_named_and_the_rest_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video(tmp_path / "whole.mp4", [1.0] * 5)
    video(tmp_path / "short.mp4", [1.0])
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    code, said, _ = measured(capsys, str(tmp_path))
    assert code == 0
    assert "1 videos (6 frames" in said
    assert "not measured: short.mp4: 2 frames, 4 are needed" in said
    assert "not measured: broken.mp4: " in said
    assert "an interval takes 5 videos or more" in said


def test_what_does_not_compare_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video(tmp_path / "one" / "a.mp4", [1.0] * 5)
    video(tmp_path / "other" / "a.mp4", [1.0] * 5, fps=12)
    video(tmp_path / "third" / "b.mp4", [1.0] * 5)
    one, other, third = (str(tmp_path / it) for it in ("one", "other", "third"))
    code, _, said = measured(capsys, one, "--against", other)
    assert code == 2
    assert "a has 6 frames at 24 a second" in said
    code, _, said = measured(capsys, one, "--against", third)
    assert code == 2
    assert "no video in" in said


def test_written_numbers_stand_for_their_folder_unless_measured_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video(tmp_path / "a.mp4", [1.0] * 5)
    out = tmp_path / "numbers.json"
    assert measured(capsys, str(tmp_path), "--json", str(out))[0] == 0
    code, said, _ = measured(capsys, str(tmp_path), "--against", str(out))
    assert code == 0
    (line,) = (
        it
        for it in said[said.index("same name") :].splitlines()
        if it.split()[:1] == ["flow_speed"]
    )
    assert float(line.split()[1]) == 0
    other = json.loads(out.read_text())
    other["protocol"]["torch"] = "1.0"
    out.write_text(json.dumps(other))
    code, _, said = measured(capsys, str(tmp_path), "--against", str(out))
    assert code == 2
    assert "were measured with torch " in said
    assert "and 1.0: such numbers don't compare" in said


def test_a_folder_that_is_not_there_is_said_plainly(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, said = measured(capsys, "/nowhere/videos")
    assert code == 2
    assert "exvideo measure: there is no /nowhere/videos" in said


def test_only_so_many_frames_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video(tmp_path / "a.mp4", [1.0] * 9)
    code, said, _ = measured(capsys, str(tmp_path), "--frames", "5")
    assert code == 0
    assert "1 videos (5 frames" in said
