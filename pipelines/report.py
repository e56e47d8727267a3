"""Where a stage's progress shows: in the Dagster run that started it, or on the terminal."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from dagster_pipes import DAGSTER_PIPES_CONTEXT_ENV_VAR, open_dagster_pipes

from exvideo.pace import Pace, spoken
from exvideo.progress import Progress
from exvideo.screen import Screen

STDERR = 2
"""The descriptor; sys.stderr may be a stand-in that has none."""

INTERVAL_S = 2.0
"""Between two lines of progress in the first minutes."""

SILENCE_S = 3.0
"""After so long without a line, one tells what is being done and for how long."""

PATIENCE = 300.0
"""Dagster's event log keeps every line for ever: work of this many times as long as an interval
is told at longer ones, up to a minute. An hour is told every 12 s, a week in 10,000 lines."""

MOST_S = 60.0


class Lines(Protocol):
    """What shows lines: a `Screen`, or Dagster's log."""

    def say(self, text: str) -> None:
        """A line that stays."""

    def pass_by(self, line: str) -> None:
        """A line that the next one may replace."""


class Report:
    """A stage's progress as lines, none too often and none too late."""

    def __init__(self, stage: str, lines: Lines, clock: Callable[[], float] = time.monotonic):
        self._stage = stage
        self._lines = lines
        self._clock = clock
        self._pace = Pace(clock)
        self._lock = threading.Lock()
        self._started = self._since = clock()
        self._last = -MOST_S
        self._doing = "starting"
        self._where = ""

    def say(self, message: str) -> None:
        with self._lock:
            self._last = self._clock()
            self._lines.say(f"{self._stage}: {message}")

    def doing(self, what: str) -> None:
        with self._lock:
            self._doing, self._since = what, self._clock()
            self._pass_by(what)

    def update(self, done: int, total: int, unit: str, **figures: float) -> None:
        with self._lock:
            left = self._pace.left(done, total, unit)
            shown = "".join(f", {name} {value:.4g}" for name, value in figures.items())
            where = f"{done}/{total} {unit}{shown}"
            if left is not None and done < total:
                where += f", about {spoken(left)} left"
            self._doing, self._since = where, self._clock()
            if done >= total or self._clock() - self._last >= self._interval(INTERVAL_S):
                self._pass_by(where)

    def break_silence(self) -> None:
        """Say what is being done if nothing has been said for a while."""
        with self._lock:
            now = self._clock()
            if now - self._last >= self._interval(SILENCE_S):
                self._pass_by(f"{self._doing} ({spoken(now - self._since)})")

    def _interval(self, shortest: float) -> float:
        return min(max(shortest, (self._clock() - self._started) / PATIENCE), MOST_S)

    def _pass_by(self, what: str) -> None:
        self._last = self._clock()
        self._lines.pass_by(f"{self._stage}: {what}")


class DagsterLog:
    """Lines in the Dagster run that started this process."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.say = self.pass_by = write


@contextmanager
def open_report(stage: str, screen: int | None = None) -> Iterator[Progress]:
    """Report to Dagster where it listens, else to the terminal, by default on stderr."""
    if DAGSTER_PIPES_CONTEXT_ENV_VAR in os.environ:
        with (
            open_dagster_pipes() as pipes,
            _never_silent(Report(stage, DagsterLog(pipes.log.info))) as report,
        ):
            yield report
    else:
        with (
            Screen(STDERR if screen is None else screen) as lines,
            _never_silent(Report(stage, lines)) as report,
        ):
            yield report


@contextmanager
def _never_silent(report: Report) -> Iterator[Report]:
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            report.break_silence()

    report.doing("starting")
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield report
    finally:
        ended.set()
        thread.join()
