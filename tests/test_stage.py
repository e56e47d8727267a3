"""What every stage's program promises: refuse early, redo only what changed, leave a receipt."""

import time
from pathlib import Path

import pytest

from exvideo.config import Preset, load_preset
from exvideo.errors import InputError
from exvideo.progress import Silent
from exvideo.receipt import read_receipt, stage_folder
from pipelines.stage import Job, Outcome, Stage, run_stage


def _preset(root: Path, **overrides: object) -> Preset:
    return load_preset("tiny", {"storage.root": str(root), **overrides})


def _stage(calls: list[str], name: str = "clips", inputs: tuple[str, ...] = ()) -> Stage:
    def run(job: Job) -> Outcome:
        calls.append(job.key)
        (job.output / "made.txt").write_text("made")
        return Outcome(digest="d" * 64, files={"made": "made.txt"})

    def sections(preset: Preset) -> object:
        return preset.clips.num_frames

    return Stage(name=name, version=1, inputs=inputs, sections=sections, run=run)


def test_a_finished_stage_leaves_a_receipt_of_what_it_made(tmp_path: Path) -> None:
    receipt = run_stage(_stage([]), _preset(tmp_path), Silent())
    folder = stage_folder(_preset(tmp_path), "clips")
    assert read_receipt(folder) == receipt
    assert (folder / receipt.folder / receipt.files["made"]).read_text() == "made"


def test_an_unchanged_stage_is_not_run_again(tmp_path: Path) -> None:
    calls: list[str] = []
    first = run_stage(_stage(calls), _preset(tmp_path), Silent())
    assert run_stage(_stage(calls), _preset(tmp_path), Silent()) == first
    assert len(calls) == 1


def test_a_changed_setting_makes_it_anew_and_keeps_what_was_made(tmp_path: Path) -> None:
    calls: list[str] = []
    before = run_stage(_stage(calls), _preset(tmp_path), Silent())
    after = run_stage(_stage(calls), _preset(tmp_path, **{"clips.num_frames": 16}), Silent())
    assert len(calls) == 2
    assert after.folder != before.folder
    folder = stage_folder(_preset(tmp_path), "clips")
    assert (folder / before.folder / "made.txt").exists()


def test_a_missing_input_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    stage = _stage([], name="latent_shards", inputs=("clips",))
    with pytest.raises(InputError, match="run `exvideo run clips --preset tiny` first"):
        run_stage(stage, _preset(tmp_path), Silent())


def test_too_little_disk_is_refused_before_anything_starts(tmp_path: Path) -> None:
    calls: list[str] = []
    preset = _preset(tmp_path, **{"storage.min_free_gb": 1e9})
    with pytest.raises(InputError, match=r"storage\.min_free_gb asks for"):
        run_stage(_stage(calls), preset, Silent())
    assert calls == []


def test_a_stage_that_fails_leaves_no_receipt(tmp_path: Path) -> None:
    def fail(job: Job) -> Outcome:
        raise InputError("no videos")

    stage = Stage(name="clips", version=1, inputs=(), sections=lambda p: 0, run=fail)
    with pytest.raises(InputError, match="no videos"):
        run_stage(stage, _preset(tmp_path), Silent())
    assert read_receipt(stage_folder(_preset(tmp_path), "clips")) is None


def test_a_receipt_says_what_the_stage_has_used_and_what_that_costs(tmp_path: Path) -> None:
    def burn(job: Job) -> Outcome:
        until = time.process_time() + 0.4
        while time.process_time() < until:
            pass
        return Outcome(digest="d" * 64, gpus=2)

    stage = Stage(name="clips", version=1, inputs=(), sections=lambda p: 0, run=burn)
    prices = {"prices.gpu_hour": 9000.0, "prices.cpu_hour": 3600.0}
    figures = run_stage(stage, _preset(tmp_path, **prices), Silent()).figures
    used, wall, gpus = (figures[it] for it in ("CPU-hours", "wall hours", "GPU-hours"))
    assert 3600 * used > 0.39  # more where other tests' daemons live below this process
    assert gpus == pytest.approx(2 * wall, rel=1e-3)
    assert figures["estimated cost USD"] == pytest.approx(9000 * gpus + 3600 * used, rel=1e-2)
    assert figures["peak memory GB"] > 0
