"""Where a stage's progress shows: in the Dagster run that started it, or on the terminal."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from dagster_pipes import DAGSTER_PIPES_CONTEXT_ENV_VAR, PipesContext, open_dagster_pipes
from tqdm import tqdm

from exvideo.progress import Progress

LOG_INTERVAL_S = 2.0
"""Between two progress lines in Dagster's event log, which keeps every line for ever."""


@contextmanager
def open_report(stage: str) -> Iterator[Progress]:
    """Report to Dagster where it listens, else to the terminal."""
    if DAGSTER_PIPES_CONTEXT_ENV_VAR in os.environ:
        with open_dagster_pipes() as pipes:
            yield DagsterReport(pipes, stage)
    else:
        report = TerminalReport(stage)
        try:
            yield report
        finally:
            report.close()


class DagsterReport:
    """Log lines in the Dagster run, thinned out."""

    def __init__(self, pipes: PipesContext, stage: str) -> None:
        self._pipes = pipes
        self._stage = stage
        self._next = 0.0

    def say(self, message: str) -> None:
        self._pipes.log.info(message)

    def update(self, done: int, total: int, unit: str, **figures: float) -> None:
        now = time.monotonic()
        if now < self._next and done < total:
            return
        self._next = now + LOG_INTERVAL_S
        shown = "".join(f", {name} {value:.4g}" for name, value in figures.items())
        self._pipes.log.info(f"{self._stage}: {done}/{total} {unit}{shown}")


class TerminalReport:
    """A bar on a terminal, plain lines elsewhere."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._bar: tqdm | None = None

    def say(self, message: str) -> None:
        tqdm.write(f"{self._stage}: {message}", file=sys.stderr)

    def update(self, done: int, total: int, unit: str, **figures: float) -> None:
        if self._bar is None or self._bar.total != total or self._bar.unit != f" {unit}":
            self.close()
            self._bar = tqdm(
                total=total, initial=done, unit=f" {unit}", desc=self._stage, mininterval=0.5
            )
        self._bar.set_postfix({name: f"{v:.4g}" for name, v in figures.items()}, refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
