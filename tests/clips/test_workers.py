"""Whoever does the work and dies over it, the outcome is the same."""

import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from upath import UPath

from exvideo.clips.candidates import Candidates
from exvideo.clips.curate import curate
from exvideo.clips.filters.load import load_filters
from exvideo.clips.manifest import Clip
from exvideo.clips.video_turns import WINDOWS_A_TURN, all_scored
from exvideo.clips.video_worker import ScoringTask, VideoWorker
from exvideo.clips.workers import LocalWorkers
from exvideo.progress import Silent
from exvideo.sources.manifest import SourceVideo
from tests.clips.videos import config, listed, moving
from tests.somebody_elses_ray import cluster_elsewhere


def video(name: str, size: int) -> SourceVideo:
    told = {"sha256": name, "source": "t", "licence_claimed": "none"}
    return SourceVideo(video_id=name, piece=0, path=name, size_bytes=size, **told)


def window(name: str, number: int) -> Clip:
    size = {"num_frames": 2, "height": 8, "width": 8}
    return Clip(
        clip_id=f"{name}{number}", video_id=name, source="t", status="kept", pieces=[], **size
    )


class Recorder:
    """A worker that is done at once, and writes down what it is given."""

    def __init__(self, lengths: dict[str, int], asked: list[tuple[str, str, int]]) -> None:
        self.lengths, self.asked = lengths, asked

    def ready(self, after_s: float) -> None:
        pass

    def look(self, pieces: list[SourceVideo]) -> Candidates:
        name = pieces[0].video_id
        self.asked.append(("look", name, 1))
        windows = [window(name, number) for number in range(self.lengths[name])]
        return Candidates(windows, [], permanent=True)

    def score(self, windows: list[Clip]) -> tuple[list[Clip], bool]:
        self.asked.append(("score", windows[0].video_id, len(windows)))
        return [clip.model_copy(update={"contrast": 1.0}) for clip in windows], True


def test_the_largest_video_comes_first_and_its_windows_are_shared_out() -> None:
    lengths = {"small": 1, "large": 2 * WINDOWS_A_TURN + 1, "empty": 0}
    videos = {"small": [video("small", 1)], "large": [video("large", 9)], "empty": [video("e", 0)]}
    videos["empty"] = [video("empty", 0)]
    asked: list[tuple[str, str, int]] = []
    with ThreadPoolExecutor(1) as threads:
        workers = LocalWorkers(lambda: Recorder(lengths, asked), threads)
        done = list(all_scored(videos, workers, config(), Silent()))
    whole = WINDOWS_A_TURN
    assert asked == [
        ("look", "large", 1),
        ("score", "large", whole),
        ("score", "large", whole),
        ("score", "large", 1),
        ("look", "small", 1),
        ("score", "small", 1),
        ("look", "empty", 1),
    ]
    assert [(name, len(clips)) for name, clips, _ in done] == [
        ("large", 2 * whole + 1),
        ("small", 1),
        ("empty", 0),
    ]
    clips = done[0][1]
    assert [clip.clip_id for clip in clips] == [f"large{n}" for n in range(2 * whole + 1)]
    assert all(clip.contrast == 1.0 for clip in clips)


def test_what_passes_through_ray_is_windows_and_scores_and_no_frame(tmp_path: Path) -> None:
    pieces = [listed(tmp_path, "long.mp4", moving(64))]
    with closing(VideoWorker(ScoringTask(UPath(tmp_path), config(), load_filters()))) as worker:
        found = worker.look(pieces)
        scored = worker.score(found.windows)
    a_clip = 2_000
    assert len(found.windows) == 8
    for passed in (pieces, found, found.windows, scored):
        assert len(pickle.dumps(passed)) < 8 * a_clip < 8 * 32 * 32 * 3 * 8


class Killer(Silent):
    """Kills a worker on the cluster when the first video is done; remembers what it is told."""

    def __init__(self, cluster: psutil.Process) -> None:
        self.cluster, self.killed = cluster, False
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def update(self, done: int, total: int, unit: str, **figures: float) -> None:
        if not self.killed:
            actors = [it for it in self.cluster.children(recursive=True) if _is_actor(it)]
            actors[0].kill()
            self.killed = True


def _is_actor(process: psutil.Process) -> bool:
    try:
        return process.cmdline()[0].startswith("ray::VideoWorker")
    except (psutil.Error, IndexError):
        return False


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[psutil.Process]:
    """Somebody else's Ray, which RAY_ADDRESS names."""
    with cluster_elsewhere() as ray:
        ray.join(monkeypatch)
        yield psutil.Process(ray.pid)


def test_a_cluster_gives_the_same_clips_though_a_worker_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    videos = [listed(tmp_path, f"{n}.mp4", moving(16 + 8 * n)) for n in range(4)]
    videos.append(listed(tmp_path, "broken.mp4", b"no video"))
    here = curate(videos, UPath(tmp_path), config(workers=2), UPath(tmp_path / "a"), Silent())
    killer = Killer(request.getfixturevalue("cluster"))
    there = curate(videos, UPath(tmp_path), config(workers=2), UPath(tmp_path / "b"), killer)
    assert there == here
    # On a busy machine it also says that it waits for its workers to start.
    assert sum("failed and is tried again" in line for line in killer.said) == 1
