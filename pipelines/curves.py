"""A training's rows of figures on their way to whoever watches."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from exvideo.config import TrainingConfig
from exvideo.progress import Progress

if TYPE_CHECKING:
    from exvideo.tracking import TrackedRun
    from exvideo.training.job import TrainingJob
    from exvideo.training.metrics import Row
    from exvideo.training.rank_progress import Standing

MOST_POINTS = 2000
"""Of a curve in MLflow, whose pages get slow with more; `metrics.jsonl` has every row."""

FIRST_POINTS = 500
"""Rows that all become points: a training's beginning is watched."""


class Curves:
    """Passes rows and sample clips on to whoever watches: progress, and MLflow."""

    def __init__(self, job: "TrainingJob", progress: Progress, run: "TrackedRun") -> None:
        self._config = job.training
        self._samples = job.samples
        self._progress = progress
        self._figures: dict[str, float] = {}
        self._run = run
        # What an interrupted attempt had logged beyond its checkpoint comes again, equal.
        self._known = {mark: run.last_step(mark) for mark in ("training/loss", "validation/loss")}
        self._waiting: list[tuple[int, dict[str, float]]] = []
        self._pictures: list[tuple[int, Path]] = []
        self._heard = 0

    def __call__(self, rows: list["Row"]) -> None:
        from mlflow.exceptions import MlflowException

        for row in rows:
            group, figures = grouped(row)
            mark = f"{group}/loss"
            if row["step"] <= self._known[mark]:
                continue
            self._known[mark] = row["step"]
            if shown(self._config, row["step"], group):
                self._waiting.append((row["step"], figures))
            if group == "validation":
                self._progress.say(f"step {row['step']}: validation loss {figures[mark]:.4f}")
                pictures = self._samples.glob(f"step-{row['step']:08d}-*.png")
                self._pictures += [(row["step"], path) for path in sorted(pictures)]
            else:
                names = {"loss": "loss", "seconds_per_step": "seconds a step"}
                self._figures = {names[it]: row[it] for it in names if it in row}
        try:
            self.flush()
        except MlflowException as error:
            # A tracker that is down for an hour must not end a training of a week.
            self._progress.say(f"MLflow takes nothing now, it waits: {error}")

    def tell(self, standing: "Standing") -> None:
        """Pass on what the ranks are at, with the newest figures."""
        from exvideo.training.rank_progress import pass_on

        for line in standing.said[self._heard :]:
            self._progress.say(line)
        self._heard = len(standing.said)
        pass_on(standing, self._progress, self._figures)

    def flush(self) -> None:
        """Log what waits."""
        self._run.log_metrics(self._waiting)
        self._waiting = []
        while self._pictures:
            step, path = self._pictures[0]
            self._run.log_artifact(path.with_suffix(".mp4"), "samples")
            self._run.log_image(path, f"sample/{path.stem.rpartition('-')[2]}", step)
            self._pictures.pop(0)


def grouped(row: "Row") -> tuple[str, dict[str, float]]:
    """A row's group in MLflow and its figures by their names there."""
    group = "validation" if "validation_loss" in row else "training"
    figures = {name: value for name, value in row.items() if name != "step"}
    return group, {f"{group}/{it.removeprefix('validation_')}": v for it, v in figures.items()}


def shown(config: TrainingConfig, step: int, group: str) -> bool:
    """Whether a row becomes a point: the first ones, then evenly spread ones, and the last; a
    function of its step.
    """
    interval = config.log_every if group == "training" else config.validate_every
    rows = math.ceil(config.steps / interval) + 1  # a validation comes before the first step
    every = interval * math.ceil(rows / (MOST_POINTS - FIRST_POINTS))
    if rows <= MOST_POINTS or step <= (FIRST_POINTS - 2) * interval or step == config.steps:
        return True
    return step % every == 0
