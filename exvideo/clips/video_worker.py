"""Looks through videos and scores windows over them, in turns. Knows nothing of Ray."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from upath import UPath

from exvideo.clips.candidates import Candidates, candidates
from exvideo.clips.filters.filter import Filter
from exvideo.clips.manifest import Clip
from exvideo.clips.read import read_clip
from exvideo.clips.score import scored
from exvideo.clips.segments import SEGMENT_BYTES, Segment, SegmentScan, look_through, segments
from exvideo.clips.transnet import TransNet
from exvideo.config import ClipsConfig
from exvideo.sources.manifest import SourceVideo, locate
from exvideo.video.decoder import DecodeError, Decoder

MOST_COMPRESSED = 200
"""How many times larger frames are than their file, at most, for it to be asked for segments: of a
small one, asking costs 3 % of looking through it."""


@dataclass(frozen=True)
class ScoringTask:
    """What all videos have in common."""

    folder: UPath
    """The source manifest's."""
    config: ClipsConfig
    filters: Sequence[Filter]
    segment_bytes: int = SEGMENT_BYTES


class VideoWorker:
    """Has a decoder's process of its own. For one thread at a time."""

    def __init__(self, task: ScoringTask, transnet: TransNet | None = None) -> None:
        """Without a `transnet`, the worker has one of its own."""
        self._task = task
        self._stack = ExitStack()
        self._decoder = self._stack.enter_context(Decoder(task.config.decode_timeout_s))
        self._transnet = transnet or self._stack.enter_context(TransNet())

    def ready(self, after_s: float) -> None:
        """Returns so many seconds after the libraries are loaded."""
        time.sleep(after_s)

    def close(self) -> None:
        self._stack.close()

    def look(self, pieces: list[SourceVideo]) -> Candidates | list[Segment]:
        """One video's windows, none of them scored, or the segments of a long one, several."""
        return self._segments(pieces) or self.look_whole(pieces)

    def look_whole(self, pieces: list[SourceVideo]) -> Candidates:
        """One video's windows, however long it is."""
        task = self._task
        return candidates(pieces, task.folder, task.config, self._decoder, self._transnet)

    def look_through(self, part: tuple[SourceVideo, Segment]) -> SegmentScan | None:
        """What is seen of a segment; None where something is wrong with it."""
        piece, segment = part
        path = locate(self._task.folder, piece.path)
        try:
            *_, seen = self._decoder.stream(look_through, path, segment)
        except DecodeError:
            return None  # which the look at the whole file tells more of
        return seen

    def _segments(self, pieces: list[SourceVideo]) -> list[Segment]:
        config, least = self._task.config, self._task.segment_bytes
        # The net of TransNetV2 sees a file's frames all together.
        if len(pieces) > 1 or config.workers == 1 or config.scene_detector == "transnetv2":
            return []
        if pieces[0].size_bytes < least / MOST_COMPRESSED:
            return []
        path = locate(self._task.folder, pieces[0].path)
        try:
            [found] = self._decoder.stream(segments, path, least)
        except DecodeError:
            return []  # which the look at the whole file tells more of
        return found

    def score(self, windows: list[Clip]) -> tuple[list[Clip], bool]:
        """`score_windows` with what the worker has."""
        return score_windows(windows, self._task.folder, self._task.filters, self._decoder)


def score_windows(
    windows: list[Clip], folder: UPath, filters: Sequence[Filter], decoder: Decoder
) -> tuple[list[Clip], bool]:
    """The same windows with their scores, and whether another try could give no more."""
    clips, permanent = [], True
    for clip in windows:
        try:
            frames = read_clip(clip, folder, decoder)
        except DecodeError as error:
            clips.append(clip.rejected(f"unreadable: {error.reason}"))
            permanent &= error.permanent
        else:
            clips.append(scored(clip, frames, filters))
    return clips, permanent
