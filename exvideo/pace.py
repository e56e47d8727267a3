"""How much longer: an estimate from the recent rate."""

import time
from collections import deque
from collections.abc import Callable

WINDOW_S = 120.0
"""Whatever went faster or slower before then says nothing about what is left."""


class Pace:
    """Follows a count towards its total."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._what: tuple[int, str] | None = None
        self._seen: deque[tuple[float, int]] = deque()

    def left(self, done: int, total: int, unit: str) -> float | None:
        """Seconds until `total`, None as long as there is no rate to tell it from."""
        now = self._clock()
        if (total, unit) != self._what or (self._seen and done < self._seen[-1][1]):
            self._what = (total, unit)
            self._seen.clear()
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        since, first = self._seen[0]
        if done == first or now == since:
            return None
        return (total - done) * (now - since) / (done - first)


def spoken(seconds: float) -> str:
    """A duration as one says it: 40 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
