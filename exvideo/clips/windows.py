"""Where clips lie in a video: pure arithmetic over frame numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Window:
    """`num_frames` frames of a video, `stride` apart, from frame `start`."""

    start: int
    num_frames: int
    stride: int


def stride_for(true_fps: float, target_fps: float | None) -> int:
    """Every how many frames one is kept, so that the rate comes closest to the target.

    A video slower than the target keeps all its frames: they are never repeated, and the model is
    told the clip's own rate.
    """
    return 1 if target_fps is None else max(1, round(true_fps / target_fps))


def scenes(num_frames: int, cuts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The spans [start, end) between cuts; a cut is its new scene's first frame."""
    inner = sorted({cut for cut in cuts if 0 < cut < num_frames})
    return pairwise([0, *inner, num_frames])


def windows(start: int, end: int, num_frames: int, stride: int) -> list[Window]:
    """As many windows as fit into the frames [start, end), one after the other, none shared."""
    reach = (num_frames - 1) * stride + 1
    starts = range(start, end - reach + 1, num_frames * stride)
    return [Window(first, num_frames, stride) for first in starts]


def spans(window: Window, lengths: Sequence[int]) -> list[tuple[int, int, int]]:
    """(piece, first frame in it, frames) of each piece that a window touches.

    `lengths` are the frames that each of the consecutive pieces holds.
    """
    found = []
    taken, piece_start = 0, 0
    for piece, length in enumerate(lengths):
        first = window.start + taken * window.stride - piece_start
        if first < length and taken < window.num_frames:
            count = min(window.num_frames - taken, (length - first - 1) // window.stride + 1)
            found.append((piece, first, count))
            taken += count
        piece_start += length
    return found


def spread(count: int, limit: int) -> set[int]:
    """At most `limit` of `count` positions, evenly spread."""
    if count <= limit:
        return set(range(count))
    return {(2 * index + 1) * count // (2 * limit) for index in range(limit)}
