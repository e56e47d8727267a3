"""How long one clip takes to read, and how fast all do."""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np

from benchmarks.loader.clips import NoiseClips
from benchmarks.loader.format import Place, Reader


def random_reads(
    opened: Callable[[Place], Reader], place: Place, order: Iterable[int], seconds: float
) -> np.ndarray:
    """Milliseconds of each of these rows, as far as time allows, the first with all it opens."""
    took = []
    began = time.perf_counter()
    reader = opened(place)
    for number in order:
        started = time.perf_counter() if took else began
        _touch(reader(int(number)))
        took.append(1e3 * (time.perf_counter() - started))
        if time.perf_counter() - began > seconds:
            break
    return np.array(took)


def _touch(latents: np.ndarray) -> None:
    """One value of each page of memory, so that a mapped file is read, too."""
    np.asarray(latents).reshape(-1)[:: 4096 // 4].max()


def milliseconds(took: np.ndarray) -> list[str]:
    """Mean, median, and what 95 % stay within."""
    figures = [took.mean(), *np.percentile(took, [50, 95])]
    return [f"{it:.2f}" if it < 10 else f"{it:.0f}" for it in figures]


def check(reader: Reader, clips: NoiseClips) -> None:
    """Every format gives what was written."""
    for number in (0, len(clips) // 2, len(clips) - 1):
        if not np.array_equal(np.asarray(reader(number)), clips.latents[number]):
            raise RuntimeError(f"clip {number} is not what was written")


def scan_speed(scanned: Iterator[np.ndarray], clips: int, size: int) -> float:
    """MB a second of clips of `size` bytes, as they were given, whatever the format stores."""
    began = time.perf_counter()
    count = 0
    for latents in islice(scanned, clips):
        _touch(latents)
        count += 1
    if count != clips:
        raise RuntimeError(f"{count} of {clips} clips came")
    return size * clips / 1e6 / (time.perf_counter() - began)
