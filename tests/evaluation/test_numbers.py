"""Means and their standard errors, against values worked out by hand."""

import numpy as np
import pytest

from exvideo.evaluation.numbers import DEFINITIONS, Numbers, SampleNumbers, measure, summarise


def sample(clip_id: str, seed: int, jitter: float | None, phase: str = "after") -> SampleNumbers:
    values = {**dict.fromkeys(DEFINITIONS, 1.0), "jitter": jitter}
    return SampleNumbers(
        phase=phase, step=6, clip_id=clip_id, seed=seed, values=values,
        speed=[1.0, 1.0], shake=[0.0], contrast=[0.2] * 3,
    )  # fmt: skip


def test_errors_are_over_the_means_of_seeds_and_of_clips() -> None:
    samples = [sample("a", 0, 1.0), sample("b", 0, 2.0), sample("a", 1, 3.0), sample("b", 1, 6.0)]
    jitter = summarise(samples, "raft", 3).summary["after"]["jitter"]
    assert jitter.mean == 3.0
    # Seeds' means are 1.5 and 4.5, clips' 2 and 4: half their distances.
    assert jitter.standard_error_seeds == pytest.approx(1.5)
    assert jitter.standard_error_clips == pytest.approx(1.0)


def test_one_seed_has_no_error_over_seeds() -> None:
    summary = summarise([sample("a", 0, 1.0), sample("b", 0, 2.0)], "raft", 3).summary
    assert summary["after"]["jitter"].standard_error_seeds is None


def test_a_clip_without_jitter_does_not_count_in_its_mean() -> None:
    summary = summarise([sample("a", 0, 1.0), sample("b", 0, None)], "raft", 3).summary
    assert (summary["after"]["jitter"].mean, summary["after"]["jitter"].samples) == (1.0, 1)
    assert summary["after"]["flow_speed"].samples == 2


def test_phases_keep_their_order() -> None:
    samples = [sample("a", 0, 1.0, phase) for phase in ("before", "middle", "after")]
    assert list(summarise(samples, "raft", 3).summary) == ["before", "middle", "after"]


def test_numbers_survive_their_json() -> None:
    numbers = summarise([sample("a", 0, None)], "raft", 3)
    assert Numbers.model_validate_json(numbers.model_dump_json()) == numbers


def test_a_still_clip_is_measured_without_nan() -> None:
    frames = np.full((5, 16, 16, 3), 90, np.uint8)
    still = np.zeros((4, 2, 16, 16), np.float32)
    numbers = measure(frames, still, still, frames[0], phase="before", step=0, clip_id="a", seed=0)
    assert numbers.values["jitter"] is None
    assert numbers.values["first_frame_psnr"] is None, "equal images have no finite PSNR"
    assert numbers.values["warping_error"] == 0
