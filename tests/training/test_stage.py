"""The stage's program with real processes: two ranks below DeepSpeed's launcher."""

import json
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from mlflow import MlflowClient
from PIL import Image
from safetensors.torch import load_file

from exvideo.tracking import TrackedRun, embedded_store
from tests.training.stage import StageRun
from tests.training.tiny import NUM_FRAMES, TIMED

STEPS = 14

PATIENCE_S = 900
"""For one start of the job: below a load of 25 on two cores it has taken more than 300 s."""

pytestmark = pytest.mark.timeout(4 * PATIENCE_S)


def finished(stage: StageRun) -> str:
    process = stage.start()
    printed = process.communicate(timeout=PATIENCE_S)[0].decode()
    assert process.returncode == 0, printed
    return printed


def until_step(stage: StageRun, step: int) -> None:
    """Wait until the ranks have logged a step."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        metrics = stage.scratch("metrics.jsonl")
        if metrics and f'"step": {step}, "loss"' in metrics.read_text():
            return
        time.sleep(0.05)
    raise TimeoutError(f"step {step} was not reached")


def until_copied(stage: StageRun) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not list(stage.root.glob("test/post_tuned_model/checkpoints/*/step-*/manifest.json")):
        assert time.monotonic() < deadline, "no checkpoint was copied"
        time.sleep(0.05)


def copied_step(stage: StageRun) -> int:
    newest = max((stage.root / "test" / "post_tuned_model").rglob("step-*/manifest.json"))
    return json.loads(newest.read_text())["position"]["step"]


def saved_step(stage: StageRun) -> int:
    """The newest whole checkpoint's."""
    newest = max((stage.root / "test" / "scratch").rglob("step-*/manifest.json"))
    return json.loads(newest.read_text())["position"]["step"]


def mlflow_run(stage: StageRun):
    client = MlflowClient(embedded_store(stage.preset).tracking_uri)
    experiment = client.get_experiment_by_name(stage.preset.tracking.experiment)
    (run,) = client.search_runs([experiment.experiment_id])
    return client, run


def of_job(root: Path) -> list[psutil.Process]:
    """Living processes whose command line names the job's folder."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE
        and any(str(root) in word for word in process.info["cmdline"] or [])
    ]


def comparable(stage: StageRun) -> list[dict]:
    return [{k: v for k, v in row.items() if k not in TIMED} for row in stage.rows()]


SETTINGS = {
    "ranks": 2,
    "micro_batch_size": 1,
    "steps": STEPS,
    "log_every": 1,
    "validate_every": STEPS,
    "more_ema_decays": (0.9,),
    "sample_clips": 1,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> StageRun:
    """A job on two ranks that nothing has interrupted."""
    stage = StageRun(tmp_path_factory.mktemp("whole") / "root", **SETTINGS)
    finished(stage)
    return stage


def test_a_job_on_two_ranks_survives_a_sigterm_as_if_it_had_not_been(
    tmp_path: Path, whole: StageRun
) -> None:
    stopped = StageRun(tmp_path / "stopped", **SETTINGS, copy_checkpoints=True)
    process = stopped.start(DAGSTER_RUN_ID="first", EXVIDEO_DAGSTER_URL="http://127.0.0.1:3000")
    until_step(stopped, 3)
    assert len([p for p in of_job(stopped.root) if "pipelines.train_rank" in p.cmdline()]) >= 2
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 128 + signal.SIGTERM
    assert of_job(stopped.root) == []
    client, run = mlflow_run(stopped)
    assert run.info.status == "KILLED"
    assert run.data.tags["dagster/run_url"] == "http://127.0.0.1:3000/runs/first"
    assert 3 <= saved_step(stopped) < STEPS
    assert copied_step(stopped) == saved_step(stopped)

    finished(stopped)
    client, again = mlflow_run(stopped)
    assert (again.info.run_id, again.info.status) == (run.info.run_id, "FINISHED")
    assert stopped.receipt.figures["mlflow_run_id"] == run.info.run_id
    history = client.get_metric_history(run.info.run_id, "training/loss")
    assert sorted(it.step for it in history) == list(range(1, STEPS + 1))
    assert again.inputs.dataset_inputs[0].dataset.profile is not None
    assert again.data.params["training.steps"] == str(STEPS)

    assert comparable(stopped) == comparable(whole)
    assert stopped.receipt.digest == whole.receipt.digest
    one, other = load_file(stopped.output("extension")), load_file(whole.output("extension"))
    assert all(one[name].equal(other[name]) for name in one)
    for file in ("middle", "curve", "model", "extension ema-0.9"):
        assert whole.output(file).stat().st_size > 0


def test_a_stop_while_mlflow_opens_the_run_ends_it_as_killed(
    tmp_path: Path, trained_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = StageRun(tmp_path / "root", steps=2)
    opened = TrackedRun.open_or_resume

    def stopped(*told: Any) -> None:
        opened(*told)
        raise SystemExit(128 + signal.SIGTERM)

    monkeypatch.setattr(TrackedRun, "open_or_resume", stopped)
    with pytest.raises(SystemExit):
        stage.run_here()
    assert mlflow_run(stage)[1].info.status == "KILLED"


def test_the_model_is_registered_once_with_its_card(whole: StageRun) -> None:
    client, run = mlflow_run(whole)
    name = whole.preset.tracking.experiment
    (version,) = client.search_model_versions(f"name = '{name}'")
    assert whole.receipt.figures["model version"] == f"{name} {version.version}"
    assert version.run_id == run.info.run_id
    assert version.tags["sha256"] == whole.receipt.digest
    assert version.tags["weights"] == str(whole.output("extension"))
    assert f"extended to {NUM_FRAMES} frames by {STEPS} steps" in version.description
    again = TrackedRun(embedded_store(whole.preset).tracking_uri, run.info.run_id)
    assert again.register_model(name, "training", "", version.tags) == str(version.version)


def test_clips_drawn_at_validations_are_pictures_of_their_steps_in_mlflow(whole: StageRun) -> None:
    client, run = mlflow_run(whole)
    videos = [it.path for it in client.list_artifacts(run.info.run_id, "samples")]
    held_out = "0000000000000005"
    assert videos == [f"samples/step-{step:08d}-{held_out}.mp4" for step in (0, STEPS)]
    pictures = [it.path for it in client.list_artifacts(run.info.run_id, "images")]
    for step in (0, STEPS):
        assert any(f"sample~{held_out}+step+{step}+" in path for path in pictures), pictures
    before, after = (drawn(whole, step) for step in (0, STEPS))
    assert before.shape == after.shape
    assert (before != after).any()


def drawn(stage: StageRun, step: int) -> np.ndarray:
    """The picture of the clip that was drawn at a step; its last half is the clip and its flow."""
    (path,) = stage.root.rglob(f"step-{step:08d}-*.png")
    picture = np.asarray(Image.open(path)).astype(float)
    return picture[len(picture) // 2 :]


def test_a_killed_job_goes_on_with_another_number_of_ranks(
    tmp_path: Path, whole: StageRun, trained_here: None
) -> None:
    """The same clips and noise a step, and the same losses but for rounding.

    Also where the ranks had shared each clip's frames, and the machine's own disk is gone.
    """
    killed = StageRun(tmp_path / "killed", **SETTINGS, frame_ranks=2, copy_checkpoints=True)
    process = killed.start()
    until_step(killed, 5)
    until_copied(killed)
    for it in of_job(killed.root):
        it.kill()
    process.communicate(timeout=PATIENCE_S)
    # Frames that two ranks have drawn together are those that each rank draws alone.
    assert np.abs(drawn(killed, 0) - drawn(whole, 0)).mean() < 1
    shutil.rmtree(killed.root / "test" / "scratch")
    step = copied_step(killed)
    assert 2 <= step < STEPS

    killed.change("frame_ranks: 2", "frame_ranks: 1")
    killed.change("\n  ranks: 2", "\n  ranks: 1")
    killed.change("zero_stage: 2", "zero_stage: 1")
    printed = killed.run_here()
    assert f"fetching the checkpoint of step {step} from {killed.root}" in printed
    assert f"step {STEPS}: validation loss" in printed
    _, run = mlflow_run(killed)
    assert run.data.params["training.ranks"] == "2"
    assert run.data.tags["changed/training.ranks"] == "1"
    assert run.data.tags["changed/training.frame_ranks"] == "1"
    figures = ("loss", "validation_loss", "validation_loss_raw")
    for one, other in zip(killed.rows(), whole.rows(), strict=True):
        shared = {name: other[name] for name in figures if name in other}
        assert {name: one[name] for name in shared} == pytest.approx(shared, rel=1e-5)


def test_a_refusal_by_the_ranks_is_said_plainly_and_fails_the_run(tmp_path: Path) -> None:
    stage = StageRun(tmp_path / "root")
    stage.change(f"num_frames: {NUM_FRAMES}", f"num_frames: {NUM_FRAMES + 1}")
    process = stage.start()
    printed = process.communicate(timeout=PATIENCE_S)[0].decode()
    assert process.returncode == 2
    assert re.search(
        f"post_tuned_model: .* has clips of {NUM_FRAMES} frames, the job asks for {NUM_FRAMES + 1}",
        printed,
    ), printed
    assert mlflow_run(stage)[1].info.status == "FAILED"


def test_a_shorter_job_is_trained_apart_and_the_longer_one_stays(
    tmp_path: Path, trained_here: None
) -> None:
    stage = StageRun(tmp_path / "root", steps=4, log_every=1)
    stage.run_here()
    long = stage.receipt
    stage.change("\n  steps: 4", "\n  steps: 2")
    assert "is at step 4 already" in stage.run_here()
    assert [row["step"] for row in stage.rows() if "loss" in row] == [1, 2]
    assert stage.receipt.figures["mlflow_run_id"] != long.figures["mlflow_run_id"]
    stage.change("\n  steps: 2", "\n  steps: 4")
    stage.run_here()
    assert (stage.receipt.digest, stage.receipt.figures["mlflow_run_id"]) == (
        long.digest,
        long.figures["mlflow_run_id"],
    )
