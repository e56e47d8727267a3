"""Who gets which turn, and what a death costs; tests of both stages have real workers."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from exvideo.progress import Silent
from exvideo.ray_crew import TRIES, Crew, Fault


@dataclass(frozen=True)
class Say:
    argument: str
    method: str = "say"

    def __str__(self) -> str:
        return self.argument


class DiedError(Exception):
    pass


class Dying:
    """Workers that say each letter of a word, and die over what `deaths` counts, "start" too."""

    def __init__(self, **deaths: int) -> None:
        self.deaths = Counter(deaths)
        self.hired = 0

    def hire(self) -> int:
        self.hired += 1
        return self.hired

    def call(self, worker: int, method: str, argument: Any) -> tuple[object, Iterator[Any]]:
        return object(), self._results(method, argument)

    def _results(self, method: str, argument: Any) -> Iterator[Any]:
        for letter in argument if method == "say" else ["start"]:
            if self.deaths[letter]:
                self.deaths[letter] -= 1
                raise DiedError(f"over {letter}")
            yield letter

    def wait(self, calls: Sequence[Any], timeout_s: float) -> Sequence[Any]:
        return calls[:1]

    def fault_of(self, error: Exception) -> Fault:
        return "worker" if isinstance(error, DiedError) else "code"

    def room(self) -> str:
        return "there is room"


def said(workers: Dying, *words: str, count: int = 1) -> list[tuple[str, int, str]]:
    work = Crew(workers, map(Say, words), Silent()).work(count)
    return [(turn.argument, number, letter) for turn, number, letter in work if turn]


def test_results_come_one_by_one_in_the_order_of_the_turns() -> None:
    assert said(Dying(), "ab", "c") == [("ab", 0, "a"), ("ab", 1, "b"), ("c", 0, "c")]


def test_a_turn_whose_worker_dies_comes_last_and_from_its_beginning() -> None:
    workers = Dying(b=1)
    assert said(workers, "ab", "c") == [
        ("ab", 0, "a"),
        ("c", 0, "c"),
        ("ab", 0, "a"),
        ("ab", 1, "b"),
    ]
    assert workers.hired == 2


def test_more_turns_may_come_with_a_result_and_wake_who_is_idle() -> None:
    crew = Crew(Dying(), [Say("a")], Silent())
    told = []
    for turn, _, letter in crew.work(2):
        if turn and letter == "a":
            crew.left.extend([Say("b"), Say("c")])
        told += [letter] if turn else []
    assert told == ["a", "b", "c"]


def test_so_many_deaths_of_one_turn_end_the_work() -> None:
    with pytest.raises(RuntimeError, match=f"^ab failed, try {TRIES}: over b"):
        said(Dying(b=TRIES), "ab")


def test_workers_may_die_at_their_start_however_often_if_others_start_well_between() -> None:
    # A start that dies twice, then one that goes well, and a death that asks for the next.
    workers = Dying(start=TRIES - 1, b=1)
    work = Crew(workers, [Say("ab")], Silent()).work(1)
    for turn, number, _ in work:
        if turn and number == 0 and workers.deaths["b"]:
            workers.deaths["start"] = TRIES - 1
    assert workers.hired == 2 * TRIES


def test_so_many_deaths_at_the_start_end_the_work() -> None:
    with pytest.raises(RuntimeError, match=f"^a worker's start failed, try {TRIES}: over start"):
        said(Dying(start=TRIES), "ab")
