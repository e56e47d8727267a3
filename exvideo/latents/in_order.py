"""Encoded clips written in a thread of its own, in the plan's order whatever theirs."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from exvideo.clips.manifest import Clip
from exvideo.latents.manifest import Missing
from exvideo.latents.schema import LatentRow, NotFiniteError
from exvideo.latents.shard import ShardWriter
from exvideo.latents.speed import Done

if TYPE_CHECKING:
    from exvideo.latents.encode import EncodedClip

BACKLOG = 2
"""Clips that may wait for the disk before the encoder does."""


class InOrderWriter:
    """Brings clips to the host, checks them and hands them to the shard. A context manager."""

    def __init__(self, shard: ShardWriter, clips: Sequence[Clip]) -> None:
        self.missing: list[Missing] = []
        """In the order of `clips`, as far as they are written."""
        self._shard = shard
        self._clips = clips
        self._early: dict[int, tuple[LatentRow | Missing, float]] = {}
        self._written = 0
        self._thread = ThreadPoolExecutor(1)
        self._backlog: deque[Future[list[Done]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def put(self, number: int, clip: "EncodedClip | Missing") -> list[Done]:
        """Take clip `number`; returns what is done by now, each clip once."""
        self._backlog.append(self._thread.submit(self._write, number, clip))
        return self._drain(BACKLOG)

    def rest(self) -> list[Done]:
        """Wait for all that was put; returns the clips that `put` has not."""
        return self._drain(0)

    def _drain(self, backlog: int) -> list[Done]:
        done: list[Done] = []
        while len(self._backlog) > backlog or (self._backlog and self._backlog[0].done()):
            done += self._backlog.popleft().result()
        return done

    def _write(self, number: int, clip: "EncodedClip | Missing") -> list[Done]:
        # A row that comes early waits: equal plans make equal bytes.
        self._early[number] = (clip, 0.0) if isinstance(clip, Missing) else _row(clip)
        done = []
        while self._written in self._early:
            row, encoding_s = self._early.pop(self._written)
            source = self._clips[self._written]
            if isinstance(row, Missing):
                self.missing.append(row)
            else:
                self._shard.write(row, source)
            done.append(Done(source.clip_id, encoding_s))
            self._written += 1
        return done


def _row(clip: "EncodedClip") -> tuple[LatentRow | Missing, float]:
    seconds = clip.seconds()
    try:
        return clip.row(), seconds
    except NotFiniteError as error:
        return Missing(clip_id=clip.clip_id, reason=str(error), permanent=True), seconds
