"""The objective against diffusers' EDM scheduler, closed forms and its own promises."""

import dataclasses

import numpy as np
import pytest
import torch
from diffusers import EDMEulerScheduler

from exvideo.config import SigmaConfig
from exvideo.training.objective import (
    draw,
    make_batch,
    noise_quantile,
    precondition,
    sigma_at,
    unet_inputs,
    v_loss,
    v_target,
)

SIGMAS = torch.tensor([0.002, 0.05, 1.0, 2.7, 38.0, 700.0], dtype=torch.float64)
SIGMA = SigmaConfig(mean=1.0, std=1.6)
SHAPE = (3, 4, 2, 2)


def clip(seed: int = 0, **changes: object) -> dict:
    generator = torch.Generator().manual_seed(seed)
    return {
        "latents": torch.randn(SHAPE, generator=generator),
        "cond_latents": torch.randn(5, 4, 2, 2, generator=generator),
        "noise_aug_strengths": torch.tensor([0.01, 0.02, 0.03, 0.04, 0.05]),
        "image_embeds": torch.randn(6, generator=generator),
        "fps": 24.0,
        "motion_bucket_id": 300,
        **changes,
    }


def sample(index: int, dropout: float = 0.0, seed: int = 7):
    return draw(seed, index, SHAPE, 5, SIGMA, dropout)


class Predicts(torch.nn.Module):
    """Answers any question with the same tensor and remembers what it was asked."""

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.answer = torch.nn.Parameter(answer)

    def forward(self, **inputs: torch.Tensor) -> tuple[torch.Tensor]:
        self.asked = inputs
        return (self.answer,)


@pytest.fixture
def scheduler() -> EDMEulerScheduler:
    return EDMEulerScheduler(sigma_data=1.0, sigma_max=700.0, prediction_type="v_prediction")


def test_factors_are_those_of_the_edm_scheduler(scheduler: EDMEulerScheduler) -> None:
    x, f = torch.randn(2, 6, dtype=torch.float64)
    factors = precondition(SIGMAS)
    torch.testing.assert_close(factors.c_in * x, scheduler.precondition_inputs(x, SIGMAS))
    torch.testing.assert_close(factors.c_noise, scheduler.precondition_noise(SIGMAS))
    torch.testing.assert_close(
        factors.c_skip * x + factors.c_out * f, scheduler.precondition_outputs(x, f, SIGMAS)
    )


def test_mse_on_v_is_the_weighted_mse_on_the_denoised() -> None:
    x0, eps, f = torch.randn(3, 1000, 1, dtype=torch.float64)
    factors = precondition(SIGMAS)
    denoised = factors.c_skip * (x0 + SIGMAS * eps) + factors.c_out * f
    weight = (SIGMAS**2 + 1) / SIGMAS**2
    torch.testing.assert_close(
        weight * (denoised - x0) ** 2, (f - v_target(x0, eps, SIGMAS)) ** 2, rtol=1e-6, atol=1e-9
    )


def test_a_perfect_prediction_costs_nothing_and_an_offset_its_square() -> None:
    batch = make_batch([clip(0), clip(1)], [sample(0), sample(1)], 0.18215)
    target = v_target(batch.latents, batch.noise, batch.sigma[:, None, None, None, None])
    assert v_loss(Predicts(target), batch).tolist() == [0.0, 0.0]
    offset = torch.tensor([0.5, 2.0])[:, None, None, None, None]
    torch.testing.assert_close(
        v_loss(Predicts(target + offset), batch), torch.tensor([0.25, 4.0]), rtol=1e-5, atol=0
    )


def test_the_unet_sees_the_scaled_noisy_latents_beside_the_unscaled_condition(
    scheduler: EDMEulerScheduler,
) -> None:
    source, drawn = clip(), sample(3)
    batch = make_batch([source], [drawn], 0.18215)
    inputs = unet_inputs(batch, torch.float32)
    noisy = 0.18215 * source["latents"] + drawn.sigma * drawn.noise
    torch.testing.assert_close(
        inputs["sample"][0, :, :4], scheduler.precondition_inputs(noisy, drawn.sigma)
    )
    for frame in inputs["sample"][0, :, 4:]:
        assert torch.equal(frame, source["cond_latents"][drawn.augmentation])
    torch.testing.assert_close(
        inputs["timestep"], scheduler.precondition_noise(torch.tensor([drawn.sigma]))
    )
    assert torch.equal(inputs["encoder_hidden_states"][0, 0], source["image_embeds"])
    strength = source["noise_aug_strengths"][drawn.augmentation]
    torch.testing.assert_close(inputs["added_time_ids"][0], torch.tensor([23.0, 300.0, strength]))


def test_noise_level_and_ids_stay_float32_beside_a_half_precision_sample() -> None:
    inputs = unet_inputs(make_batch([clip(motion_bucket_id=257)], [sample(0)], 1.0), torch.bfloat16)
    assert inputs["sample"].dtype == inputs["encoder_hidden_states"].dtype == torch.bfloat16
    assert inputs["timestep"].dtype == inputs["added_time_ids"].dtype == torch.float32
    assert inputs["added_time_ids"][0, 1] == 257


def test_a_dropped_condition_is_the_joint_null_and_leaves_latents_and_ids() -> None:
    kept = make_batch([clip()], [sample(0)], 1.0)
    dropped = make_batch([clip()], [dataclasses.replace(sample(0), drop_condition=True)], 1.0)
    assert not dropped.cond_latents.any()
    assert not dropped.image_embeds.any()
    assert torch.equal(kept.latents, dropped.latents)
    assert torch.equal(kept.added_time_ids, dropped.added_time_ids)


def test_sigma_follows_the_log_normal() -> None:
    logs = torch.tensor([sample(index).sigma for index in range(4096)]).log()
    assert logs.mean().item() == pytest.approx(SIGMA.mean, abs=0.01)
    assert logs.std().item() == pytest.approx(SIGMA.std, abs=0.01)
    tails = sigma_at(torch.tensor([1e-12, 0.5, 1 - 1e-12], dtype=torch.float64), SIGMA)
    assert tails.tolist() == pytest.approx([0.002, float(np.e), 700.0])


@pytest.mark.parametrize("batch", [4, 8, 30])
def test_every_global_batch_is_spread_over_the_noise_levels(batch: int) -> None:
    for start in (0, 17, 64000 * batch):
        levels = sorted(noise_quantile(0, start + i) for i in range(batch))
        gaps = np.diff([*levels, levels[0] + 1])
        assert gaps.max() < 2 / batch, "independent draws leave gaps of about ln(batch) / batch"


def test_draws_depend_on_seed_and_index_alone() -> None:
    forwards = [sample(index, dropout=0.5) for index in range(8)]
    backwards = [sample(index, dropout=0.5) for index in reversed(range(8))][::-1]
    for one, other in zip(forwards, backwards, strict=True):
        assert (one.sigma, one.augmentation, one.drop_condition) == (
            other.sigma,
            other.augmentation,
            other.drop_condition,
        )
        assert torch.equal(one.noise, other.noise)
    assert not torch.equal(forwards[0].noise, forwards[1].noise)
    assert not torch.equal(forwards[0].noise, sample(0, seed=8).noise)


def test_chance_has_the_shares_that_it_should() -> None:
    draws = [sample(index, dropout=0.1) for index in range(4000)]
    assert np.mean([drawn.drop_condition for drawn in draws]) == pytest.approx(0.1, abs=0.02)
    shares = np.bincount([drawn.augmentation for drawn in draws]) / len(draws)
    assert shares == pytest.approx(np.full(5, 0.2), abs=0.03)
    noise = torch.stack([drawn.noise for drawn in draws])
    assert noise.mean().item() == pytest.approx(0, abs=0.01)
    assert noise.std().item() == pytest.approx(1, abs=0.01)
