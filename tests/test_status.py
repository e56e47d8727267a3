"""`exvideo status` over made receipts, a held lock and Dagster's own record of a failed run."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.run_list import run_list
from exvideo.config import Preset, load_preset
from exvideo.progress import Silent
from exvideo.receipt import Receipt, read_receipt, stage_folder, write_receipt
from exvideo.run_lock import only_run
from exvideo.tracking import TrackedRun
from pipelines import clips, source_videos
from pipelines.cli import main
from pipelines.stage import Stage, key_of


@pytest.fixture
def preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Preset:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return load_preset("tiny", {"storage.root": str(tmp_path)})


def make(preset: Preset, stage: Stage, digest: str) -> None:
    """A receipt as the stage would leave it now."""
    made = {name: read_receipt(stage_folder(preset, name)) for name in stage.inputs}
    inputs = {name: it.digest for name, it in made.items() if it}
    receipt = Receipt(
        stage=stage.name, key=key_of(stage, preset, inputs), folder="f", inputs=inputs,
        digest=digest, files={}, figures={}, seconds=1,
    )  # fmt: skip
    write_receipt(stage_folder(preset, stage.name), receipt)


def told(preset: Preset, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, str]:
    assert main(["status", "--set", f"storage.root={preset.storage.root}", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    return {line.partition(" ")[0]: line.partition(" ")[2].strip() for line in lines}


def test_what_was_made_from_what_is_there_now_is_fresh(
    preset: Preset, capsys: pytest.CaptureFixture[str]
) -> None:
    make(preset, source_videos.STAGE, "a")
    make(preset, clips.STAGE, "b")
    said = told(preset, capsys)
    assert said["source_videos"].startswith("fresh, made ")
    assert said["clips"].startswith("fresh, made ")
    assert said["latent_shards"] == "not made yet"


def test_what_is_stale_says_why(preset: Preset, capsys: pytest.CaptureFixture[str]) -> None:
    make(preset, source_videos.STAGE, "a")
    make(preset, clips.STAGE, "b")
    make(preset, source_videos.STAGE, "c")
    assert told(preset, capsys)["clips"].startswith("stale: source_videos made anew since")
    said = told(preset, capsys, "--set", "source.rendered_clips=9")
    assert said["source_videos"].startswith("stale: the files it reads, its settings or")
    assert said["clips"].startswith("stale: source_videos is")


def test_a_stage_that_runs_now_is_named(preset: Preset, capsys: pytest.CaptureFixture[str]) -> None:
    lock = Path(str(stage_folder(preset, "clips"))) / "run.lock"
    with only_run(lock, Silent()):
        assert told(preset, capsys)["clips"] == "not made yet; runs now"
    assert told(preset, capsys)["clips"] == "not made yet"


def test_runs_that_are_under_way_and_the_last_that_failed_are_listed() -> None:
    with dg.instance_for_test() as instance:
        assert run_list(instance) == {"running": [], "failed": None}
        for run_id, status in (("1", "FAILURE"), ("2", "FAILURE"), ("3", "STARTED")):
            run = dg.DagsterRun("retraining", run_id, status=dg.DagsterRunStatus[status])
            instance.add_run(run)
        found = run_list(instance)
    assert [(it["run"], it["said"]) for it in found["running"]] == [("3", "started")]
    assert (found["failed"]["run"], found["failed"]["said"]) == (
        "2",
        "failed before its first step",
    )


def test_a_champion_by_a_persons_word_is_told_and_what_the_gate_refused_since(
    preset: Preset, capsys: pytest.CaptureFixture[str]
) -> None:
    run = TrackedRun.open_or_resume(preset, "key", "a training")
    for sha256 in ("a", "b"):
        tags = {"sha256": sha256, "weights": sha256}
        run.register_model(preset.tracking.experiment, "training", "card", tags)
    assert told(preset, capsys)["champion"] == "none"
    refused = {
        "candidate": "version 2",
        "passes": False,
        "champion": "none",
        "reason": "it jitters",
    }
    receipt = Receipt(
        stage="champion", key="k", folder="f", digest="d", files={}, figures=refused, seconds=1
    )
    write_receipt(stage_folder(preset, "champion"), receipt)
    root = ["--set", f"storage.root={preset.storage.root}"]
    assert main(["promote", "1", "--because", "sharper", *root]) == 0
    assert told(preset, capsys)["champion"] == (
        "version 1 (sign-off by a person: sharper); version 2 refused: it jitters"
    )


def test_it_imports_nothing_heavy(preset: Preset) -> None:
    program = f"""
import sys
from pipelines.cli import main
main(["status", "--set", "storage.root={preset.storage.root}"])
heavy = {{"torch", "mlflow", "ray", "diffusers", "dagster", "pandas"}} & set(sys.modules)
sys.exit(", ".join(sorted(heavy)) or 0)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "no Dagster run: there is no " in ended.stdout
