"""What is trained, generated and compared."""

from dataclasses import dataclass, field
from typing import Any

from exvideo.config import Preset, load_preset
from exvideo.generation.long_video import BASELINES

MAIN = "after"
BEFORE = "before"


@dataclass(frozen=True)
class Row:
    """One way to make long clips; its name is that of its line in the tables."""

    name: str
    first_frames: int
    training: dict[str, Any] | None = None
    """The preset's overrides of its training; None is not trained."""
    model: dict[str, Any] = field(default_factory=dict)
    """The preset's overrides of its model."""
    baseline: str | None = None
    """The training-free way, of `exvideo.generation.long_video`."""


@dataclass(frozen=True)
class Sizes:
    """How much is done."""

    steps: int
    seeds: int
    first_frames: int
    ablated_frames: int
    """First frames of a baseline and of an ablation."""


def preset(row: Row, sizes: Sizes, work: str) -> Preset:
    """The tiny preset with the rate and average of docs/evaluation.md's longer measurement."""
    overrides = {
        "storage.root": work,
        "training.steps": sizes.steps,
        "training.learning_rate": 2.0e-4,
        "training.ema_decay": 0.99,
        "training.validate_every": 20,
        "training.validation_clips": 4,
        "training.sample_clips": 0,
        "training.log_every": 5,
        "training.checkpoint_every": 40,
        "evaluation.clips": sizes.first_frames,
        **(row.training or {}),
        **row.model,
    }
    return load_preset("tiny", overrides)


def main_rows(sizes: Sizes) -> list[Row]:
    """Before, and after by each of the training's seeds."""
    n = sizes.first_frames
    seeds = [Row(f"{MAIN}, seed {it}", n, {"training.seed": it}) for it in range(sizes.seeds)]
    return [Row(BEFORE, n), *seeds]


def baseline_rows(sizes: Sizes) -> list[Row]:
    return [Row(name, sizes.ablated_frames, baseline=name) for name in BASELINES]


def ablation_rows(sizes: Sizes) -> list[Row]:
    """Each with the first seed, half as many steps and a few of the first frames."""
    n = sizes.ablated_frames
    half = {"training.steps": sizes.steps // 2, "training.validate_every": sizes.steps // 2}
    ping_pong = {"model.table_init": "ping_pong"}
    parts = {
        "temporal blocks alone": "temporal_blocks",
        "convolution alone": "convolution",
        "table alone": "table",
    }
    return [
        Row("nothing", n),
        Row("ping-pong, nothing", n, model=ping_pong),
        Row("all", n, half),
        *(Row(name, n, half | {"training.parts": [part]}) for name, part in parts.items()),
        Row("released objective", n, half | {"training.recipe": "released"}),
        Row("ping-pong, all", n, half, ping_pong),
    ]
