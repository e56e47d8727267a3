"""Which settings make a training start anew, and which it goes on with."""

from typing import Any

import pytest

from exvideo.config import load_preset
from pipelines.training_identity import sections, work


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ranks", 1),
        ("micro_batch_size", 2),
        ("frame_ranks", 4),
        ("zero_stage", 3),
        ("activation_checkpointing", "part"),
        ("activation_gib", 30),
        ("offload_optimizer", True),
        ("attention", "flash_attn"),
        ("compile", True),
        ("validate_every", 10),
        ("checkpoint_every", 10),
        ("loader_workers", 1),
    ],
)
def test_what_leaves_the_weights_alone_makes_nothing_anew(key: str, value: Any) -> None:
    plain = load_preset("svd_128f", {"training.batch_size": 16})
    changed = load_preset("svd_128f", {"training.batch_size": 16, f"training.{key}": value})
    assert plain != changed
    assert (work(changed), sections(changed)) == (work(plain), sections(plain))


def test_more_steps_are_another_model_from_the_same_work() -> None:
    plain, longer = load_preset("tiny"), load_preset("tiny", {"training.steps": 200})
    assert work(longer) == work(plain)
    assert sections(longer) != sections(plain)


def test_a_cosine_of_more_steps_starts_anew() -> None:
    cosine = {"training.schedule": "cosine"}
    longer = load_preset("tiny", {**cosine, "training.steps": 200})
    assert work(longer) != work(load_preset("tiny", cosine))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("training.batch_size", 2),
        ("training.learning_rate", 1e-3),
        ("training.seed", 1),
        ("training.precision", "float32"),
        ("training.sigma", {"mean": 1.0, "std": 1.0}),
        ("training.ema_decay", 0.9),
        ("training.recipe", "released"),
        ("clips.num_frames", 16),
        ("model.table_init", "ping_pong"),
    ],
)
def test_what_changes_a_step_starts_anew(key: str, value: Any) -> None:
    assert work(load_preset("tiny", {key: value})) != work(load_preset("tiny"))


def test_an_option_at_its_default_is_no_part_of_it() -> None:
    """Or else every training would start anew with the first release that has the option."""
    (training, *_) = work(load_preset("tiny", {"training.recipe": "edm"}))
    assert "recipe" not in training
    assert "seed" in training
