"""How soon a training reaches a stated validation loss: MLPerf's measure of a training."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from exvideo.training.metrics import Row


@dataclass(frozen=True)
class Reached:
    """Where a training's validation loss came down to the target."""

    steps: float
    minutes: float
    """Of training steps; validation, checkpoints and the start are not in it."""


def curve(rows: Sequence[Row]) -> list[tuple[int, float]]:
    """The validation losses by their steps."""
    return [(row["step"], row["validation_loss"]) for row in rows if "validation_loss" in row]


def reached(rows: Sequence[Row], target: float) -> Reached | None:
    """The first crossing, on a straight line between two validations; None without one."""
    for (before, higher), (after, lower) in pairwise(curve(rows)):
        if lower <= target < higher:
            share = (higher - target) / (higher - lower)
            steps = before + share * (after - before)
            return Reached(steps, steps * seconds_per_step(rows) / 60)
    return None


def seconds_per_step(rows: Sequence[Row]) -> float:
    """The mean over the training's rows, which stand for equally many steps each."""
    seconds = [row["seconds_per_step"] for row in rows if "seconds_per_step" in row]
    return sum(seconds) / len(seconds)
