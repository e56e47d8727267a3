"""Who does what next of a video's windows: the largest video first, its windows shared out."""

from collections.abc import Iterator
from dataclasses import dataclass

from exvideo.clips.candidates import Candidates
from exvideo.clips.manifest import Clip
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
    argument: list[SourceVideo] | list[Clip]
    """A video's pieces to look through, or some of its windows to score."""
    start: int = 0
    """The first window's place among those to score."""

    def __str__(self) -> str:
        return f"{self.video}, {self.method} {self.start}" if self.start else self.video


class Open:
    """A video whose windows are known and not all scored."""

    def __init__(self, found: Candidates) -> None:
        self.found = found
        self.to_score = [clip for clip in found.windows if clip.status == "kept"]
        self.left = len(self.to_score)
        self.permanent = found.permanent

    def put(self, start: int, scored: list[Clip], permanent: bool) -> None:
        self.to_score[start : start + len(scored)] = scored
        self.left -= len(scored)
        self.permanent &= permanent

    def clips(self) -> list[Clip]:
        """All of the video's candidates, in order."""
        scored = iter(self.to_score)
        windows = (next(scored) if it.status == "kept" else it for it in self.found.windows)
        return [*windows, *self.found.unusable]


def all_scored(
    videos: dict[str, list[SourceVideo]], workers: Workers, count: int, progress: Progress
) -> Iterator[tuple[str, list[Clip], bool]]:
    """Each video with its candidates, and whether another try could give no more."""
    largest_first = sorted(videos, key=lambda it: (-_bytes(videos[it]), it))
    looks = [VideoTurn(video, "look", videos[video]) for video in largest_first]
    crew = Crew(workers, looks, progress)
    under_way: dict[str, Open] = {}
    for turn, _, result in crew.work(count):
        if turn is None:
            continue
        if turn.method == "look":
            video = under_way[turn.video] = Open(result)
            starts = range(0, len(video.to_score), WINDOWS_A_TURN)
            # The worker that looked through a video has it at hand, and its windows come next.
            crew.left.extendleft(
                VideoTurn(turn.video, "score", video.to_score[it : it + WINDOWS_A_TURN], it)
                for it in reversed(starts)
            )
        else:
            video = under_way[turn.video]
            video.put(turn.start, *result)
        if not video.left:
            del under_way[turn.video]
            yield turn.video, video.clips(), video.permanent


def _bytes(pieces: list[SourceVideo]) -> int:
    return sum(piece.size_bytes for piece in pieces)
