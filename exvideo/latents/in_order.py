"""Encoded clips written in a thread of its own, in the plan's order whatever theirs."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from exvideo.latents.encode import EncodedClip, NotFiniteError
from exvideo.latents.manifest import Missing
from exvideo.latents.schema import LatentRow
from exvideo.latents.shard import ShardWriter

BACKLOG = 2
"""Clips that may wait for the disk before the encoder does."""


class InOrderWriter:
    """Brings clips to the host, checks them and hands them to the shard. A context manager."""

    def __init__(self, shard: ShardWriter, clip_ids: Sequence[str]) -> None:
        self.missing: list[Missing] = []
        """In the order of `clip_ids`, as far as they are written."""
        self._shard = shard
        self._clip_ids = clip_ids
        self._early: dict[int, LatentRow | Missing] = {}
        self._written = 0
        self._thread = ThreadPoolExecutor(1)
        self._backlog: deque[Future[list[str]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def put(self, number: int, clip: EncodedClip | Missing) -> list[str]:
        """Take clip `number`; returns ids of clips that are written by now, each of them once."""
        self._backlog.append(self._thread.submit(self._write, number, clip))
        return self._drain(BACKLOG)

    def rest(self) -> list[str]:
        """Wait for all that was put; returns the ids that `put` has not."""
        return self._drain(0)

    def _drain(self, backlog: int) -> list[str]:
        done: list[str] = []
        while len(self._backlog) > backlog or (self._backlog and self._backlog[0].done()):
            done += self._backlog.popleft().result()
        return done

    def _write(self, number: int, clip: EncodedClip | Missing) -> list[str]:
        # A row that comes early waits: equal plans make equal bytes.
        self._early[number] = clip if isinstance(clip, Missing) else _row(clip)
        first = self._written
        while self._written in self._early:
            row = self._early.pop(self._written)
            if isinstance(row, Missing):
                self.missing.append(row)
            else:
                self._shard.write(row)
            self._written += 1
        return list(self._clip_ids[first : self._written])


def _row(clip: EncodedClip) -> LatentRow | Missing:
    try:
        return clip.row()
    except NotFiniteError as error:
        return Missing(clip_id=clip.clip_id, reason=str(error), permanent=True)
