"""Bootstrap intervals: how wide they are, and that they never change."""

import numpy as np
import pytest

from exvideo.evaluation.intervals import MIN_CLIPS, differences, interval


def values(table: np.ndarray) -> dict[tuple[str, int], float]:
    return {(f"{c:02}", s): float(v) for c, row in enumerate(table) for s, v in enumerate(row)}


def test_the_same_values_give_the_same_interval_in_any_order() -> None:
    found = values(np.random.default_rng(0).normal(size=(8, 3)))
    backwards = dict(reversed(found.items()))
    assert interval(found) == interval(backwards)


def test_an_interval_is_two_standard_errors_to_either_side() -> None:
    table = np.random.default_rng(0).normal(size=(400, 1))
    low, high = interval(values(table)) or (0, 0)
    assert (high - low) / 2 == pytest.approx(1.96 * table.std() / 20, rel=0.05)
    assert (high + low) / 2 == pytest.approx(table.mean(), abs=0.01)


def test_seeds_of_the_same_clips_are_no_further_clips() -> None:
    clips = np.random.default_rng(0).normal(size=(12, 1))
    one = interval(values(clips)) or (0, 0)
    ten = interval(values(np.tile(clips, (1, 10)))) or (0, 0)
    assert ten[1] - ten[0] == pytest.approx(one[1] - one[0], rel=0.05)


def test_few_seeds_count_in_the_width_as_few_clips_do() -> None:
    seeds = np.random.default_rng(0).normal(size=(1, 4))
    low, high = interval(values(np.tile(seeds, (50, 1)))) or (0, 0)
    assert high - low > 1.5 * seeds.std() / 2


def test_fewer_clips_than_needed_have_no_interval() -> None:
    table = np.random.default_rng(0).normal(size=(MIN_CLIPS, 4))
    assert interval(values(table[1:])) is None
    assert interval(values(table)) is not None
    assert interval({}) is None


def test_what_is_undefined_is_left_out() -> None:
    table = np.ones((6, 2))
    found = values(table)
    del found["00", 0], found["03", 1]
    assert interval(found) == (1, 1)


def test_an_interval_of_95_percent_holds_the_truth_about_as_often() -> None:
    rng = np.random.default_rng(0)
    found = [interval(values(rng.normal(size=(30, 1)))) or (0, 0) for _ in range(200)]
    assert 0.88 <= np.mean([low < 0 < high for low, high in found]) <= 0.99


def test_differences_are_between_samples_of_the_same_clip_and_seed() -> None:
    after = {("a", 0): 3.0, ("a", 1): 5.0, ("b", 0): 1.0}
    before = {("a", 0): 1.0, ("b", 0): 4.0, ("c", 0): 9.0}
    assert differences(after, before) == {("a", 0): 2.0, ("b", 0): -3.0}
