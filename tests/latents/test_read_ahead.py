"""A slow item holds no other back, and memory is bounded."""

import threading
import weakref

import pytest

from exvideo.latents.read_ahead import read_ahead


class Large:
    """Stands for a clip's frames."""


def test_every_item_comes_once_with_its_number():
    results = list(read_ahead(str, "abcdefg", threads=2, ahead=3))
    assert sorted(results) == list(enumerate("abcdefg"))


def test_a_slow_item_holds_no_other_back():
    go_on = threading.Event()

    def slow_at_first(item):
        assert item or go_on.wait(60)
        return item

    results = read_ahead(slow_at_first, range(20), threads=2, ahead=4)
    assert [next(results)[1] for _ in range(19)] == list(range(1, 20))
    go_on.set()
    assert list(results) == [(0, 0)]


def test_no_more_results_exist_than_were_asked_for():
    alive: weakref.WeakSet[Large] = weakref.WeakSet()
    most = 0

    def make(_):
        nonlocal most
        large = Large()
        alive.add(large)
        most = max(most, len(alive))
        return large

    for _ in read_ahead(make, range(50), threads=3, ahead=4):
        pass
    assert most <= 4 + 1  # and the one that is being used


def test_an_error_comes_to_whoever_takes_the_results_and_ends_the_rest():
    begun = []

    def fail(item):
        begun.append(item)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(read_ahead(fail, range(100), threads=1, ahead=3))
    assert len(begun) <= 4
