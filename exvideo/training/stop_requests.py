"""How a rank is asked to stop."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Stop = Callable[[], bool]
"""Whether this rank was asked to."""


@contextmanager
def stop_requests() -> Iterator[Stop]:
    """SIGTERM and SIGINT only set a flag, so that a step is never torn."""
    received: list[int] = []
    stops = (signal.SIGTERM, signal.SIGINT)
    before = {it: signal.signal(it, lambda number, _: received.append(number)) for it in stops}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
