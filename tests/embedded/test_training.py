import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pipelines.embedded.training_run import TrainingRun, arguments


def options(run: Path, steps: int) -> argparse.Namespace:
    parser = arguments("A test.", steps=steps, learning_rate=0.05)
    return parser.parse_args(["--run", str(run)])


def line(run: Path, steps: int) -> TrainingRun:
    torch.manual_seed(0)
    return TrainingRun(nn.Linear(3, 1), options(run, steps), ema_decay=0.9)


def fit(training: TrainingRun, steps: int) -> None:
    """Regress y = x1 - 2 x2 + 3 x3 for a number of steps of a schedule that may be longer."""

    def batch(step: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        if step == steps:
            training.stopping = True
        x = torch.from_numpy(rng.standard_normal((16, 3), dtype=np.float32))
        return x, x @ torch.tensor([[1.0], [-2.0], [3.0]])

    def loss(pair: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        # Chance inside the loss is part of what must come back after a resume.
        noise = 0.01 * torch.randn(16, 1)
        return (training.model(pair[0]) - pair[1] + noise).square().mean()

    training.train(batch, loss, lambda: {}, measure_every=1000)


def weights(training: TrainingRun) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in training.model.parameters()])


def test_training_fits_what_can_be_fitted(tmp_path: Path) -> None:
    training = line(tmp_path, 400)
    fit(training, steps=400)
    assert weights(training).tolist() == pytest.approx([1, -2, 3, 0], abs=0.05)


def test_a_run_that_was_cut_off_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    unbroken = line(tmp_path / "unbroken", 40)
    fit(unbroken, steps=40)
    with pytest.raises(SystemExit, match="stopped at step 16"):
        fit(line(tmp_path / "cut", 40), steps=15)
    resumed = line(tmp_path / "cut", 40)
    assert resumed.step == 16
    fit(resumed, steps=40)
    assert torch.equal(weights(resumed), weights(unbroken))
    for name, average in unbroken.ema.items():
        assert torch.equal(resumed.ema[name], average)


def test_averaged_weights_are_there_only_inside_the_context(tmp_path: Path) -> None:
    training = line(tmp_path, 10)
    fit(training, steps=10)
    trained = weights(training)
    average = torch.cat([p.flatten() for p in training.ema.values()])
    with training.averaged_weights():
        assert torch.equal(weights(training), average)
        assert not training.model.training
    assert torch.equal(weights(training), trained)
    assert not torch.equal(trained, average)


def test_a_diverging_run_ends_with_the_step_and_leaves_the_last_good_state(tmp_path: Path) -> None:
    training = line(tmp_path, 10)
    with pytest.raises(FloatingPointError, match="step 0"):
        training.train(
            lambda step, rng: torch.full((1, 3), float("nan")),
            lambda x: training.model(x).sum(),
            lambda: {},
            measure_every=10,
        )
    assert torch.isfinite(weights(training)).all()
