"""What a process and all its descendants use: processor time, memory, and what that costs."""

import os
import resource
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Self

import psutil
from pydantic import BaseModel, ConfigDict

from exvideo.config import PricesConfig

INTERVAL_S = 2.0
"""Between two looks at the processes. A look takes about 10 ms where 120 processes run."""


class Usage(BaseModel):
    """Of one run of a stage, or of all attempts at a training."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    wall_hours: float = 0
    cpu_hours: float = 0
    """User and system time, of this machine's processes."""
    peak_memory_gb: float = 0
    """Of all processes together; what they share is counted once, for the one with most of it."""
    core_hours: float = 0
    """That this machine's cores offered meanwhile."""
    read_gb: float = 0
    written_gb: float = 0
    """Of files, pipes and sockets, cached or not; what is mapped into memory is not counted."""
    rank_hours: float = 0
    """A training's ranks times the hours they ran, on GPUs or not."""
    gpu_hours: float = 0
    """GPUs held, times hours."""

    @classmethod
    def total(cls, usages: Iterable[Self]) -> Self:
        """Of runs one after the other: a peak is the highest of theirs."""
        every = list(usages)
        sums = {name: sum(getattr(it, name) for it in every) for name in cls.model_fields}
        return cls(**sums | {"peak_memory_gb": max((it.peak_memory_gb for it in every), default=0)})

    def cost(self, prices: PricesConfig) -> float | None:
        """Estimated, in the prices' currency; None without any price."""
        if prices.gpu_hour is None and prices.cpu_hour is None:
            return None
        return self.gpu_hours * (prices.gpu_hour or 0) + self.cpu_hours * (prices.cpu_hour or 0)

    def figures(self, prices: PricesConfig) -> dict[str, float]:
        """As people read them, units in the names; what is not there is left out."""
        shown = {
            "wall hours": self.wall_hours,
            "CPU-hours": self.cpu_hours,
            "peak memory GB": self.peak_memory_gb,
        }
        shown |= {"busy share": self.cpu_hours / self.core_hours} if self.core_hours else {}
        if self.read_gb or self.written_gb:
            shown |= {"GB read": self.read_gb, "GB written": self.written_gb}
        shown |= {"rank-hours": self.rank_hours} if self.rank_hours else {}
        shown |= {"GPU-hours": self.gpu_hours} if self.gpu_hours else {}
        cost = self.cost(prices)
        shown |= {} if cost is None else {f"estimated cost {prices.currency}": cost}
        return {name: float(f"{value:.4g}") for name, value in shown.items()}


class Meter:
    """Measures this process and its descendants, from now on.

    Two sums, each of which can miss something: the kernel's own, of children that were waited for,
    misses those that another process reaped (a supervisor, or nobody under an ignored SIGCHLD);
    the sum over all processes seen misses those that lived shorter than a look's interval. The
    larger one counts.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._living: dict[psutil.Process, float] = {psutil.Process(): 0.0}
        self._ended = 0.0
        self._peak = 0.0
        self._waited = 0.0
        self._before = (0.0, 0.0)
        self._moved = self._moved_before = (0, 0)
        self._look()
        self._moved_before = self._moved
        self._before = (self._waited, self._seen())

    def usage(self) -> Usage:
        """Until now."""
        with self._lock:
            self._look()
            waited, seen = self._waited - self._before[0], self._seen() - self._before[1]
            wall_hours = (time.monotonic() - self._started) / 3600
            read, written = (
                (now - before) / 1e9
                for now, before in zip(self._moved, self._moved_before, strict=True)
            )
            return Usage(
                wall_hours=wall_hours,
                core_hours=wall_hours * (os.cpu_count() or 1),
                read_gb=read,
                written_gb=written,
                cpu_hours=max(waited, seen) / 3600,
                peak_memory_gb=self._peak / 1e9,
            )

    def look(self) -> None:
        """Take note of the processes that live now."""
        with self._lock:
            self._look()

    def _seen(self) -> float:
        return self._ended + sum(self._living.values())

    def _look(self) -> None:
        this = psutil.Process()
        below = set(this.children(recursive=True))
        private, shared, read, written = 0, [0], 0, 0
        waited = 0.0
        # One that was seen below us stays ours, also when another process has adopted it.
        for process in {*self._living, *below}:
            try:
                with process.oneshot():
                    times, memory = process.cpu_times(), process.memory_info()
                    moved = _moved(process)
            except psutil.NoSuchProcess:
                self._ended += self._living.pop(process, 0.0)
                continue
            self._living[process] = times.user + times.system
            read, written = read + moved[0], written + moved[1]
            if process in below:
                waited += times.user + times.system
                waited += getattr(times, "children_user", 0) + getattr(times, "children_system", 0)
            of_many = getattr(memory, "shared", 0)
            private += memory.rss - of_many
            shared.append(of_many)
        own, children = (
            resource.getrusage(it) for it in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        waited += own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
        self._waited = max(self._waited, waited)
        self._peak = max(self._peak, private + max(shared))
        # The kernel adds what an ended child has moved to its parent's account.
        self._moved = (max(self._moved[0], read), max(self._moved[1], written))


def _moved(process: psutil.Process) -> tuple[int, int]:
    """Bytes that a process has read and written; none where the system does not say."""
    if not hasattr(process, "io_counters"):
        return 0, 0
    try:
        counters = process.io_counters()
    except psutil.AccessDenied:
        return 0, 0
    return counters.read_chars, counters.write_chars


@contextmanager
def metered() -> Iterator[Meter]:
    """A meter that looks every `INTERVAL_S` within the block."""
    meter, ended = Meter(), threading.Event()

    def watch() -> None:
        while not ended.wait(INTERVAL_S):
            meter.look()

    thread = threading.Thread(target=watch, name="meter", daemon=True)
    thread.start()
    try:
        yield meter
    finally:
        ended.set()
        thread.join()
