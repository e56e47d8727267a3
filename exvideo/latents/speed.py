"""How fast clips are encoded, from what workers tell of each."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from exvideo.clips.manifest import Clip


@dataclass(frozen=True)
class Done:
    """A clip that is written, or missing with its reason."""

    clip_id: str
    encoding_s: float
    """What its device took for it."""


@dataclass(frozen=True)
class Speed:
    """Of several workers together."""

    clips_per_second: float
    video_hours_a_day: float
    """Hours that the clips play, in a day of such work."""
    busy: float
    """The share of the time for which the workers' devices were encoding."""


class Stopwatch:
    """From the first worker's start on: time that others need to start counts as idle."""

    def __init__(self, workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._workers = workers
        self._clock = clock
        self._began: float | None = None
        self._encoding_s = 0.0

    def start(self) -> None:
        """A worker is ready."""
        if self._began is None:
            self._began = self._clock()

    def count(self, done: Done) -> None:
        self._encoding_s += done.encoding_s

    @property
    def busy(self) -> float:
        """So far, as in `Speed`."""
        return self._encoding_s / (self._workers * self._seconds())

    def speed(self, clips: Iterable[Clip]) -> Speed:
        """When all `clips` are done."""
        every, seconds = list(clips), self._seconds()
        played_s = sum(clip.num_frames / clip.fps for clip in every if clip.fps)
        return Speed(len(every) / seconds, played_s / seconds * 24, self.busy)

    def _seconds(self) -> float:
        if self._began is None:
            raise RuntimeError("no worker was ever ready")
        return self._clock() - self._began
