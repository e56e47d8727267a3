"""Clips that end early or come again."""

import numpy as np
import pytest

from exvideo.evaluation.metrics import frozen_tail, repetition
from tests.evaluation.metrics.made_clips import noisy, panned

PERIOD = 8


@pytest.fixture(scope="module")
def pan() -> np.ndarray:
    return panned(1.0, 24).frames


def test_a_clip_that_moves_to_its_end_has_no_frozen_tail(pan: np.ndarray) -> None:
    assert frozen_tail(pan) == 0


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_a_clip_that_stops_has_a_tail_of_the_pairs_left(pan: np.ndarray, noise: float) -> None:
    stopped = pan[np.minimum(np.arange(21), 15)]
    assert frozen_tail(noisy(stopped, noise)) == pytest.approx(5 / 20)


def test_a_rest_in_the_middle_is_no_tail(pan: np.ndarray) -> None:
    assert frozen_tail(pan[[0, 1, 1, 1, 2, 3]]) == 0


def test_a_still_clip_is_frozen_from_its_start_on(pan: np.ndarray) -> None:
    assert frozen_tail(pan[[0, 0, 0]]) == 1
    assert np.isnan(frozen_tail(pan[:1]))


def test_a_clip_that_wraps_around_repeats_itself(pan: np.ndarray) -> None:
    assert repetition(pan[np.arange(24) % PERIOD], PERIOD) == 1


def test_a_clip_that_goes_there_and_back_repeats_itself(pan: np.ndarray) -> None:
    there_and_back = np.abs((np.arange(24) + 4) % PERIOD - 4)
    assert repetition(pan[there_and_back], PERIOD) == 1


def test_a_repetition_with_another_period_is_not_one(pan: np.ndarray) -> None:
    assert repetition(pan[np.arange(24) % 6], PERIOD) < 0.5


def test_a_steady_pan_is_further_away_after_a_period(pan: np.ndarray) -> None:
    assert repetition(pan, PERIOD) < 0


def test_noise_does_not_repeat_itself() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3), dtype=np.uint8)
    assert repetition(noise, PERIOD) == pytest.approx(0, abs=0.02)


def test_repetition_is_undefined_for_still_and_for_short_clips_and_for_one_position(
    pan: np.ndarray,
) -> None:
    assert np.isnan(repetition(pan[[0] * 24], PERIOD))
    assert np.isnan(repetition(pan[:11], PERIOD))
    assert np.isnan(repetition(pan, 1))
