"""Who does what next of a video's windows: the largest video first, its windows shared out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from exvideo.clips.candidates import Candidates, windows_of
from exvideo.clips.manifest import Clip
from exvideo.clips.segments import Segment, SegmentScan, put_together
from exvideo.config import ClipsConfig
from exvideo.progress import Progress
from exvideo.ray_crew import Crew, Workers
from exvideo.sources.manifest import SourceVideo

WINDOWS_A_TURN = 8
"""Of a long video, that a worker scores at a time: others take the next ones."""


@dataclass(frozen=True)
class VideoTurn:
    """What a `VideoWorker` does at a time."""

    video: str
    method: str
    argument: list[SourceVideo] | tuple[SourceVideo, Segment] | list[Clip]
    """A video's pieces or one of its segments to look through, or some of its windows to score."""
    place: int = 0
    """Of the segment among the video's, or of the first window among those to score."""

    def __str__(self) -> str:
        return f"{self.video}, {self.method} {self.place}" if self.place else self.video


class Video:
    """One video on its way: looked through, by segments where it is long, then scored."""

    def __init__(self, video_id: str, pieces: list[SourceVideo], config: ClipsConfig) -> None:
        self.video_id, self.pieces, self.config = video_id, pieces, config
        self._segments = 0
        self._seen: dict[int, SegmentScan | None] = {}
        self._found: Candidates | None = None
        self._to_score: list[Clip] = []
        self._left = 0
        self.permanent = True

    def take(self, turn: VideoTurn, result: Any) -> list[VideoTurn]:
        """A turn's result; the turns that come next."""
        if turn.method == "look":
            return self._opened(result) if isinstance(result, Candidates) else self._shared(result)
        if turn.method == "look_through":
            self._seen[turn.place] = result
            return self._put_together() if len(self._seen) == self._segments else []
        if turn.method == "look_whole":
            return self._opened(result)
        self._scored(turn.place, *result)
        return []

    @property
    def is_done(self) -> bool:
        return self._found is not None and not self._left

    def clips(self) -> list[Clip]:
        """Once it is done: all of the video's candidates, in order."""
        if self._found is None:
            return []
        scored = iter(self._to_score)
        windows = (next(scored) if it.status == "kept" else it for it in self._found.windows)
        return [*windows, *self._found.unusable]

    def _shared(self, segments: list[Segment]) -> list[VideoTurn]:
        self._segments = len(segments)
        return [
            VideoTurn(self.video_id, "look_through", (self.pieces[0], segment), place)
            for place, segment in enumerate(segments)
        ]

    def _put_together(self) -> list[VideoTurn]:
        seen = [self._seen.pop(place) for place in range(self._segments)]
        whole = put_together(seen, self.config.scene_threshold)
        if whole is None:
            return [VideoTurn(self.video_id, "look_whole", self.pieces)]
        windows = windows_of([(self.pieces[0], whole)], self.config)
        return self._opened(Candidates([*windows], [], permanent=True))

    def _opened(self, found: Candidates) -> list[VideoTurn]:
        self._found = found
        self._to_score = [clip for clip in found.windows if clip.status == "kept"]
        self._left = len(self._to_score)
        self.permanent = found.permanent
        return [
            VideoTurn(self.video_id, "score", self._to_score[it : it + WINDOWS_A_TURN], it)
            for it in range(0, self._left, WINDOWS_A_TURN)
        ]

    def _scored(self, place: int, clips: list[Clip], permanent: bool) -> None:
        self._to_score[place : place + len(clips)] = clips
        self._left -= len(clips)
        self.permanent &= permanent


def all_scored(
    videos: dict[str, list[SourceVideo]],
    workers: Workers,
    config: ClipsConfig,
    progress: Progress,
) -> Iterator[tuple[str, list[Clip], bool]]:
    """Each video with its candidates, and whether another try could give no more."""
    largest_first = sorted(videos, key=lambda it: (-_bytes(videos[it]), it))
    looks = [VideoTurn(video, "look", videos[video]) for video in largest_first]
    crew = Crew(workers, looks, progress)
    under_way: dict[str, Video] = {}
    for turn, _, result in crew.work(config.workers):
        if turn is None:
            continue
        name = turn.video
        video = under_way.setdefault(name, Video(name, videos[name], config))
        # The worker that looked through a video has it at hand, and its windows come next.
        crew.left.extendleft(reversed(video.take(turn, result)))
        if video.is_done:
            del under_way[name]
            yield name, video.clips(), video.permanent


def _bytes(pieces: list[SourceVideo]) -> int:
    return sum(piece.size_bytes for piece in pieces)
