"""Averages: their decays, and those that are made afterwards."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from exvideo.training.distributed import Ranks
from exvideo.training.ema import Ema, constant, exponent_of, power
from exvideo.training.metrics import read_metrics
from exvideo.training.partitions import Slice
from exvideo.training.post_hoc_ema import find_snapshots, fit, overlap
from pipelines.cli import main
from tests.training.test_train import trainer
from tests.training.tiny import training_job


def followed(decay, walk: np.ndarray) -> list[float]:
    """The average of a weight after each of its updates."""
    weight = torch.zeros(1)
    average = Ema([Slice("weight", 0, weight)], decay)
    values = []
    for updates, value in enumerate(walk, start=1):
        weight.fill_(value)
        average.update(updates)
        values.append(float(average.slices[0].values))
    return values


def test_a_constant_decay_is_the_geometric_sum() -> None:
    walk = np.array([1.0, 4.0, -2.0])
    assert followed(constant(0.5), walk)[-1] == pytest.approx(0.125 + 1.0 - 1.0)


def test_a_power_average_weighs_updates_by_their_power() -> None:
    walk = np.random.default_rng(0).normal(size=400).cumsum()
    exponent = exponent_of(0.1)
    times = np.arange(1, 401)
    profile = times ** (exponent + 1) - (times - 1) ** (exponent + 1)
    expected = (profile * walk).sum() / profile.sum()
    assert followed(power(exponent), walk)[-1] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("width", [0.03, 0.05, 0.1, 0.25])
def test_the_exponent_gives_the_width(width: float) -> None:
    exponent = exponent_of(width)
    u = (np.arange(200_000) + 0.5) / 200_000
    density = (exponent + 1) * u**exponent / len(u)
    mean = (density * u).sum()
    assert np.sqrt((density * (u - mean) ** 2).sum()) == pytest.approx(width, rel=1e-3)


def test_widths_that_no_average_has_are_refused() -> None:
    for width in (0.0, 0.29):
        with pytest.raises(ValueError, match="lies between 0 and"):
            exponent_of(width)


def test_the_overlap_is_the_integral_of_the_product() -> None:
    u = np.linspace(0, 30, 300_001)[1:]

    def profile(step: float, exponent: float) -> np.ndarray:
        return np.where(u <= step, (exponent + 1) / step * (u / step) ** exponent, 0)

    for one, other in [((20, 7.0), (30, 17.0)), ((30, 7.0), (20, 17.0)), ((25, 3.0), (25, 9.0))]:
        integral = (profile(*one) * profile(*other)).sum() * (u[1] - u[0])
        assert overlap(*one, *other) == pytest.approx(integral, rel=1e-3)


@pytest.mark.parametrize("width", [0.05, 0.07, 0.1, 0.15])
def test_an_average_made_afterwards_is_the_one_that_was_not_kept(width: float) -> None:
    walk = np.random.default_rng(1).normal(size=1000).cumsum()
    kept = {exponent: followed(power(exponent), walk) for exponent in map(exponent_of, (0.05, 0.1))}
    steps = [step for step in range(100, 1001, 100) for _ in kept]
    exponents = [exponent for _ in range(10) for exponent in kept]
    weights, missed = fit(steps, exponents, 1000, exponent_of(width))
    assert missed < 0.01
    made = sum(
        weight * kept[exponent][step - 1]
        for weight, step, exponent in zip(weights, steps, exponents, strict=True)
    )
    never_kept = followed(power(exponent_of(width)), walk)[-1]
    assert made == pytest.approx(never_kept, abs=0.02 * walk.std())


def test_a_training_keeps_scores_and_writes_several(
    tmp_path: Path, ranks: Ranks, capsys: pytest.CaptureFixture[str]
) -> None:
    job = training_job(tmp_path, more_ema_decays=(0.0, 0.9), snapshot_every=2)
    assert trainer(job, ranks).run()
    last = read_metrics(job.metrics)[-1]
    # An average that keeps nothing is the weights themselves.
    assert last["validation_loss_ema-0"] == last["validation_loss_raw"]
    scores = {last[f"validation_loss{it}"] for it in ("", "_ema-0", "_ema-0.9")}
    assert len(scores) == 3
    files = {name: load_file(path) for name, path in job.averages.items()}
    trained = [name for name, it in files["ema-0"].items() if not it.equal(files["ema-0.9"][name])]
    assert trained

    snapshots = find_snapshots(job.snapshots)
    assert [(it.step, it.width) for it in snapshots] == [
        (step, width) for step in (2, 4, 6) for width in (0.05, 0.1)
    ]
    out = tmp_path / "average.safetensors"
    assert main(["average", str(job.snapshots), "--width", "0.05", "--out", str(out)]) == 0
    assert "width 0.05 at step 6" in capsys.readouterr().out
    made, kept = load_file(out), load_file(snapshots[-2].path)
    for name, tensor in kept.items():
        torch.testing.assert_close(made[name], tensor.float(), rtol=2e-3, atol=2e-3)


def test_an_average_of_what_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["average", str(tmp_path), "--width", "0.1", "--out", str(tmp_path / "out")]
    assert main(words) == 2
    assert "has no snapshots" in capsys.readouterr().err
