"""The order of training samples is a pure function of the seed and the position."""

import numpy as np
import pytest

from exvideo.training.samples import bucket_of, clip_index, epoch_order, sample_clip


def test_an_epoch_shows_every_clip_once():
    assert sorted(epoch_order(17, seed=3, epoch=5)) == list(range(17))


def test_epochs_and_seeds_differ_in_order():
    first = epoch_order(100, seed=0, epoch=0)
    assert not np.array_equal(first, epoch_order(100, seed=0, epoch=1))
    assert not np.array_equal(first, epoch_order(100, seed=1, epoch=0))


def test_samples_run_through_the_epochs_in_order():
    shown = [clip_index(7, sample, num_clips=5) for sample in range(10)]
    assert shown == [*epoch_order(5, 7, 0), *epoch_order(5, 7, 1)]


def test_the_order_is_the_same_on_every_machine_and_release():
    assert list(epoch_order(8, seed=0, epoch=0)) == [3, 2, 1, 6, 0, 7, 4, 5]


def test_every_clip_comes_first_equally_often():
    first = [int(epoch_order(4, seed=0, epoch=epoch)[0]) for epoch in range(4000)]
    # 1000 expected each, with a standard deviation of 27.
    assert all(abs(count - 1000) < 140 for count in np.bincount(first, minlength=4))


def test_a_steps_samples_are_of_one_bucket_and_none_is_left_out():
    buckets = [np.array([0, 2, 4]), np.array([1, 3]), np.array([5, 6, 7, 8, 9])]
    steps = [[sample_clip(7, 3, 3 * step + k, buckets) for k in range(3)] for step in range(10)]
    homes = [{int(np.flatnonzero([c in it for it in buckets])[0]) for c in step} for step in steps]
    assert all(len(home) == 1 for home in homes)
    # As many steps as there are clips are as many epochs as a step has clips.
    assert np.bincount(np.ravel(steps)).tolist() == [3] * 10


def test_buckets_take_turns_in_proportion_to_their_sizes():
    sizes = [3, 2, 5]
    taken = [bucket_of(step, sizes) for step in range(1000)]
    for bucket, size in enumerate(sizes):
        turns = [turn for it, turn in taken if it == bucket]
        assert turns == list(range(100 * size))
        share = np.cumsum([it == bucket for it, _ in taken]) - np.arange(1, 1001) * size / 10
        assert np.abs(share).max() < 2


def test_one_bucket_is_shown_as_clips_without_buckets_are():
    shown = [sample_clip(7, 3, sample, [np.arange(5)]) for sample in range(20)]
    assert shown == [clip_index(7, sample, num_clips=5) for sample in range(20)]


def test_what_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="of 0 clips"):
        clip_index(0, 0, num_clips=0)
    with pytest.raises(ValueError, match="sample -1"):
        clip_index(0, -1, num_clips=3)
