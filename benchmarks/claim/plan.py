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
    """The tiny preset as this row trains it."""
    overrides = {
        "storage.root": work,
        "training.steps": sizes.steps,
        "training.validate_every": 20,
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
    """Each with the first seed; "all" is the main training, over the same few first frames."""
    n = sizes.ablated_frames
    ping_pong = {"model.table_init": "ping_pong"}
    parts = {
        "table alone": "table",
        "convolution alone": "convolution",
        "temporal blocks alone": "temporal_blocks",
    }
    return [
        Row("nothing", n),
        Row("all", n, {}),
        Row("ping-pong, nothing", n, model=ping_pong),
        *(Row(name, n, {"training.parts": [part]}) for name, part in parts.items()),
        Row("ping-pong, all", n, {}, ping_pong),
        Row("released objective", n, {"training.recipe": "released"}),
    ]
