"""A training's account and its limits, with real ranks."""

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from exvideo.config import PresetError, load_preset
from exvideo.errors import InputError
from exvideo.tracking import embedded_store
from exvideo.training.budget import step_budget
from exvideo.training.job import TrainingJob
from exvideo.training.rank_progress import STEPS, Standing
from exvideo.training.spending import Attempt, Spending
from exvideo.usage import Meter, Usage
from pipelines.training_limits import check_on_the_way, check_start
from tests.training.stage import StageRun
from tests.training.tiny import BASE, training_job

PATIENCE_S = 900

pytestmark = pytest.mark.timeout(4 * PATIENCE_S)


def run(stage: StageRun) -> tuple[int, str]:
    process = stage.start()
    printed = process.communicate(timeout=PATIENCE_S)[0].decode()
    return process.returncode, printed


def attempts(stage: StageRun) -> list[Attempt]:
    path = stage.scratch("spending.json")
    assert path is not None
    return [Attempt.model_validate(it) for it in json.loads(path.read_text())]


def test_a_training_over_its_limit_stops_with_a_checkpoint_and_a_raised_one_lets_it_go_on(
    tmp_path: Path,
) -> None:
    often = {"log_every": 1, "validate_every": 10**6, "checkpoint_every": 10**6}
    stage = StageRun(tmp_path / "root", steps=10**6, **often)
    stage.change("limits: {}", "limits: {gpu_hours: 1.0e-6}")
    stage.change("prices: {}", "prices: {cpu_hour: 3600}")
    code, printed = run(stage)
    assert code == 2, printed
    assert "limits.gpu_hours (1e-06) is reached" in printed
    assert "the ranks were stopped with a checkpoint; raise it" in printed
    (manifest,) = stage.root.rglob("step-*/manifest.json")
    step = json.loads(manifest.read_text())["position"]["step"]
    assert step >= 1
    (first,) = attempts(stage)
    assert (first.ranks, first.device, first.usage.gpu_hours) == (1, "cpu", 0)
    assert first.usage.cpu_hours > 0
    assert 1e-6 < first.usage.rank_hours < first.usage.wall_hours

    job_file = stage.scratch("job.json")
    assert job_file is not None
    account = Spending(job_file.parent, 1, Meter())
    with pytest.raises(InputError, match=r"rank-hours over all attempts \(1\): raise it to go on"):
        check_start(stage.preset, TrainingJob.read(job_file), account, "")

    stage.change("1.0e-6", "100")
    stage.change("steps: 1000000", f"steps: {2 * step + 2}")  # its middle is still ahead
    code, printed = run(stage)
    assert code == 0, printed
    _, second = attempts(stage)
    figures = stage.receipt.figures
    both = first.usage.rank_hours + second.usage.rank_hours
    assert figures["rank-hours"] == pytest.approx(both, rel=1e-3)
    cpu_hours = first.usage.cpu_hours + second.usage.cpu_hours
    assert figures["CPU-hours"] == pytest.approx(cpu_hours, rel=0.2)
    assert figures["estimated cost USD"] == pytest.approx(3600 * figures["CPU-hours"], rel=1e-3)
    client = MlflowClient(embedded_store(stage.preset).tracking_uri)
    logged = client.get_run(str(figures["mlflow_run_id"])).data.metrics
    assert logged["usage/rank-hours"] == pytest.approx(both, rel=0.1)
    assert logged["usage/CPU-hours"] >= first.usage.cpu_hours * 0.99


def spent(folder: Path, device: str = "cpu", **usage: float) -> Spending:
    """The account of a training with one attempt behind it, of two ranks."""
    with Spending(folder, 2, Meter()) as before:
        before.heed(Standing(doing=STEPS, device=device))
    path = folder / "spending.json"
    (attempt,) = json.loads(path.read_text())
    attempt["usage"] = Usage(**usage).model_dump()
    path.write_text(json.dumps([attempt]))
    return Spending(folder, 2, Meter())


def test_steps_that_would_not_fit_are_refused_by_what_the_last_attempt_measured(
    tmp_path: Path,
) -> None:
    job = training_job(tmp_path, steps=1000)
    checkpoint = job.checkpoints / "step-00000400"
    checkpoint.mkdir(parents=True)
    (checkpoint / "manifest.json").touch()
    job.metrics.write_text('{"step": 400, "loss": 1, "seconds_per_step": 6}\n')
    account = spent(job.folder, rank_hours=4, gpu_hours=4, cpu_hours=8, device="some GPU")
    # 600 steps of 6 s on 2 ranks are 2 hours more, and 4 of processors.
    enough = {"limits.gpu_hours": 6.1, "limits.cost": 72.1}
    prices = {"prices.gpu_hour": 10, "prices.cpu_hour": 1}
    check_start(load_preset("tiny", {**enough, **prices}), job, account, "")
    with pytest.raises(
        InputError,
        match=r"limits\.gpu_hours \(5\.9\) is reached: 6 GPU-hours with the steps that are left "
        r"\(600 of 6 s on 2 ranks, as measured\), after 4 so far",
    ):
        check_start(load_preset("tiny", {"limits.gpu_hours": 5.9}), job, account, "")
    with pytest.raises(InputError, match=r"limits\.cost \(71\.9 USD\) is reached: 72 USD"):
        check_start(load_preset("tiny", {"limits.cost": 71.9, **prices}), job, account, "")


def test_a_first_attempt_is_refused_by_the_dry_runs_best_case(tmp_path: Path) -> None:
    job = training_job(tmp_path)
    base = {"model.base": BASE.model_dump()}
    preset = load_preset("tiny", base)
    seconds = step_budget(preset).step_flops / (0.5 * 989e12)
    hours = seconds * preset.training.steps / 3600
    account = Spending(job.folder, 1, Meter())
    less = load_preset("tiny", {"limits.gpu_hours": 0.99 * hours, **base})
    with pytest.raises(InputError, match=r"limits\.gpu_hours .* at 50% of the NVIDIA H100"):
        check_start(less, job, account, "NVIDIA H100 80GB HBM3")
    check_start(less, job, account, "cpu")  # for which there is no forecast


def test_nothing_is_stopped_before_its_first_step(tmp_path: Path) -> None:
    preset = load_preset("tiny", {"limits.gpu_hours": 1})
    account = spent(tmp_path, rank_hours=2)
    check_on_the_way(preset, account)
    account.heed(Standing(doing=STEPS, done=1, total=9, device="cpu"))
    check_on_the_way(load_preset("tiny"), account)
    with pytest.raises(InputError, match=r"limits\.gpu_hours \(1\) is reached: 2 rank-hours"):
        check_on_the_way(preset, account)


def test_a_limit_of_money_without_a_price_is_refused() -> None:
    with pytest.raises(PresetError, match=r"limits\.cost \(5\) needs a price"):
        load_preset("tiny", {"limits.cost": 5})
