"""What the released trainer did, by the figures and formulas known of it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from exvideo.models import read_metadata
from exvideo.training.distributed import Ranks
from exvideo.training.metrics import read_metrics
from exvideo.training.objective import Batch, v_target
from exvideo.training.released_recipe import released_loss, released_sigma
from exvideo.training.samples import training_batches
from tests.training.test_objective import Predicts
from tests.training.test_train import trainer
from tests.training.tiny import MadeClips, training_config, training_job

RELEASED = {"recipe": "released", "condition_dropout": 0.0}


def batch_of(sigma: torch.Tensor) -> Batch:
    generator = torch.Generator().manual_seed(0)
    count = len(sigma)
    latents, noise = torch.randn(2, count, 3, 4, 2, 2, generator=generator)
    zeros = torch.zeros(count, 4, 2, 2), torch.zeros(count, 6), torch.zeros(count, 3)
    return Batch(latents, noise, sigma, *zeros)


def test_noise_levels_have_the_quantiles_of_its_schedule() -> None:
    found = [released_sigma(quantile) for quantile in (0.05, 0.25, 0.5, 0.75, 0.95)]
    assert found == pytest.approx([0.010, 0.678, 15.6, 135, 519], rel=0.02)
    ends = [released_sigma(1e-9), released_sigma(1 - 1e-9)]
    assert ends == pytest.approx([0.002, 700.0])
    assert len({released_sigma(it) for it in np.linspace(1e-9, 1 - 1e-9, 5000)}) == 1000


def test_an_error_of_v_counts_by_its_weight() -> None:
    sigma = torch.tensor([0.1, 1.0, 30.0])
    batch = batch_of(sigma)
    levels = sigma[:, None, None, None, None]
    root = (levels**2 + 1).sqrt()
    # D = c_skip x + c_out F = 1.01 x0 at this F, which differs from v by -0.01 x0 / c_out.
    aim = v_target(batch.latents, batch.noise, levels) - 0.01 * batch.latents * root / levels
    assert released_loss(Predicts(aim), batch).tolist() == pytest.approx([0.0] * 3, abs=1e-6)
    found = released_loss(Predicts(aim + 0.5), batch)
    torch.testing.assert_close(found, 0.25 * sigma / (sigma**2 + 1).sqrt(), rtol=1e-4, atol=0)


def test_the_condition_is_the_clean_first_frame() -> None:
    clips = MadeClips(3)
    config = training_config(**RELEASED)
    (batch, *_) = training_batches(clips, config, Ranks(0, 1, torch.device("cpu")), 0)
    firsts = [clip["latents"][0] for clip in clips.clips]
    for shown, ids in zip(batch.cond_latents, batch.added_time_ids, strict=True):
        assert any(torch.equal(shown, first) for first in firsts)
        assert ids.tolist() == [29.0, 100.0, 0.0]


def test_it_trains_by_that_loss_and_validates_by_svds_own(tmp_path: Path, ranks: Ranks) -> None:
    plain, released = (
        training_job(tmp_path / "edm"),
        training_job(tmp_path / "released", **RELEASED),
    )
    for job in (plain, released):
        assert trainer(job, ranks).run()
    (edm, *_), (other, *_) = (
        [row["validation_loss"] for row in read_metrics(job.metrics) if "loss" not in row]
        for job in (plain, released)
    )
    assert other == edm
    losses = [
        [r["loss"] for r in read_metrics(j.metrics) if "loss" in r] for j in (plain, released)
    ]
    assert losses[0] != losses[1]
    assert read_metadata(released.extension).sigma["schedule"] == "karras"


def test_a_dropped_condition_is_refused() -> None:
    with pytest.raises(ValueError, match="recipe released drops no condition"):
        training_config(recipe="released")
