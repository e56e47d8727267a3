"""The stage's program with real processes: two ranks below DeepSpeed's launcher."""

import json
import re
import signal
import time
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient
from safetensors.torch import load_file

from exvideo.tracking import embedded_store
from tests.training.stage import StageRun
from tests.training.tiny import NUM_FRAMES

STEPS = 14

PATIENCE_S = 300
"""For one start of the job: on a busy machine its imports alone take minutes."""

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
    timed = ("seconds_per_step", "clips_per_second", "memory_gb")
    return [{k: v for k, v in row.items() if k not in timed} for row in stage.rows()]


def test_a_job_on_two_ranks_survives_a_sigterm_as_if_it_had_not_been(tmp_path: Path) -> None:
    settings = {"ranks": 2, "steps": STEPS, "log_every": 1, "validate_every": STEPS}
    stopped = StageRun(tmp_path / "stopped", **settings)
    process = stopped.start(DAGSTER_RUN_ID="first", EXVIDEO_DAGSTER_URL="http://127.0.0.1:3000")
    until_step(stopped, 3)
    assert len([p for p in of_job(stopped.root) if "pipelines.train_rank" in p.cmdline()]) >= 2
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert time.monotonic() - asked < 15
    assert process.returncode == 128 + signal.SIGTERM
    assert of_job(stopped.root) == []
    client, run = mlflow_run(stopped)
    assert run.info.status == "KILLED"
    assert run.data.tags["dagster/run_url"] == "http://127.0.0.1:3000/runs/first"
    position = json.loads(next((stopped.root).rglob("position.json")).read_text())
    assert 3 <= position["step"] < STEPS

    finished(stopped)
    client, again = mlflow_run(stopped)
    assert (again.info.run_id, again.info.status) == (run.info.run_id, "FINISHED")
    assert stopped.receipt.figures["mlflow_run_id"] == run.info.run_id
    history = client.get_metric_history(run.info.run_id, "training/loss")
    assert sorted(it.step for it in history) == list(range(1, STEPS + 1))
    assert again.inputs.dataset_inputs[0].dataset.profile is not None
    assert again.data.params["training.steps"] == str(STEPS)

    whole = StageRun(tmp_path / "whole", **settings)
    finished(whole)
    assert comparable(stopped) == comparable(whole)
    assert stopped.receipt.digest == whole.receipt.digest
    one, other = load_file(stopped.output("extension")), load_file(whole.output("extension"))
    assert all(one[name].equal(other[name]) for name in one)
    for file in ("middle", "curve", "model"):
        assert whole.output(file).stat().st_size > 0


def test_a_refusal_by_the_ranks_is_said_plainly_and_fails_the_run(tmp_path: Path) -> None:
    stage = StageRun(tmp_path / "root")
    longer = stage.preset_file.read_text().replace(
        f"num_frames: {NUM_FRAMES}", f"num_frames: {NUM_FRAMES + 1}"
    )
    stage.preset_file.write_text(longer)
    process = stage.start()
    printed = process.communicate(timeout=PATIENCE_S)[0].decode()
    assert process.returncode == 2
    assert re.search(
        f"post_tuned_model: .* has clips of {NUM_FRAMES} frames, the job asks for {NUM_FRAMES + 1}",
        printed,
    ), printed
    assert mlflow_run(stage)[1].info.status == "FAILED"
