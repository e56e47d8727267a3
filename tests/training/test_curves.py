"""What of a training's rows becomes points of MLflow's curves."""

from itertools import pairwise
from pathlib import Path

import pytest
from mlflow import MlflowClient

from exvideo.config import load_preset
from exvideo.progress import Silent
from exvideo.tracking import TrackedRun
from pipelines.curves import FIRST_POINTS, MOST_POINTS, Curves, shown
from tests.training.tiny import training_config, training_job


@pytest.mark.parametrize(("steps", "log_every"), [(64_000, 10), (64_000, 7), (20_001, 10)])
def test_a_curve_of_a_long_training_has_at_most_2000_points(steps: int, log_every: int) -> None:
    config = training_config(steps=steps, log_every=log_every)
    rows = [*range(log_every, steps, log_every), steps]
    points = [step for step in rows if shown(config, step, "training")]
    assert MOST_POINTS / 2 < len(points) <= MOST_POINTS
    assert points[-1] == steps
    first = rows[: FIRST_POINTS - 2]
    assert points[: len(first)] == first
    spread = points[len(first) + 1 : -1]
    assert len({later - one for one, later in pairwise(spread)}) == 1


def test_every_row_of_a_short_training_is_a_point() -> None:
    config = training_config(steps=19_990, log_every=10, validate_every=10)
    assert all(shown(config, step, "training") for step in range(10, 20_000, 10))
    assert all(shown(config, step, "validation") for step in range(0, 20_000, 10))


def test_rows_that_come_again_after_a_restart_are_no_second_points(tmp_path: Path) -> None:
    preset = load_preset("tiny", {"storage.root": str(tmp_path)})
    run = TrackedRun.open_or_resume(preset, "key", "run")
    job = training_job(tmp_path / "job", log_every=1)
    Curves(job, Silent(), run)([{"step": step, "loss": 1.0 / step} for step in (1, 2, 3)])
    Curves(job, Silent(), run)([{"step": step, "loss": 1.0 / step} for step in (2, 3, 4)])
    history = MlflowClient(run.tracking_uri).get_metric_history(run.run_id, "training/loss")
    assert sorted((it.step, it.value) for it in history) == [(n, 1 / n) for n in (1, 2, 3, 4)]
