"""A long file is looked through by several workers, and nobody can tell from what they find."""

import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from upath import UPath

from exvideo.clips.filters.load import load_filters
from exvideo.clips.manifest import Clip
from exvideo.clips.scan import Scan, scan
from exvideo.clips.segments import SegmentScan, look_through, put_together, segments
from exvideo.clips.video_turns import all_scored
from exvideo.clips.video_worker import ScoringTask, VideoWorker
from exvideo.clips.workers import LocalWorkers
from exvideo.progress import Silent
from exvideo.sources.manifest import SourceVideo
from exvideo.video.decoder import Decoder
from tests.clips.videos import config, listed, moving
from tests.video.encoded import FRAMES, HEIGHT, WIDTH, encode, spoil
from tests.video.encoded import moving as pictures

THRESHOLD = 27.0

TEN_FRAMES = 10 * HEIGHT * WIDTH * 3 // 2
"""Decoded bytes: the next key frame is the twelfth."""

SHARED = ["h264", "h264 in mkv", "hevc", "vp9", "vp9 in mp4"]


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(timeout_s=60) as decoder:
        yield decoder


def with_a_cut() -> np.ndarray:
    """Two scenes, one behind the other, that meet at a key frame and again in a group."""
    frames = pictures()
    frames[24:40] = 255 - frames[24:40]
    return frames


def seen_in_segments(decoder: Decoder, path: Path) -> list[SegmentScan]:
    [found] = decoder.stream(segments, path, TEN_FRAMES)
    return [[*decoder.stream(look_through, path, segment)][-1] for segment in found]


def seen_whole(decoder: Decoder, path: Path) -> Scan:
    *_, seen = decoder.stream(scan, path, THRESHOLD)
    return seen


@pytest.mark.parametrize("kind", SHARED)
def test_what_the_segments_show_is_what_the_file_shows(
    decoder: Decoder, tmp_path: Path, kind: str
) -> None:
    path = encode(tmp_path, kind, with_a_cut())
    parts = seen_in_segments(decoder, path)
    assert len(parts) == 5
    seen, expected = put_together(parts, THRESHOLD), seen_whole(decoder, path)
    assert seen is not None
    assert seen.cuts == expected.cuts
    assert {24, 40} <= set(seen.cuts)
    assert (seen.fps, seen.num_frames, seen.damage) == (expected.fps, FRAMES, [])
    assert seen.outline.changes == expected.outline.changes
    assert seen.outline.picture == expected.outline.picture
    np.testing.assert_array_equal(seen.outline.first, expected.outline.first)
    np.testing.assert_array_equal(seen.outline.last, expected.outline.last)


def test_borders_are_those_of_all_segments(decoder: Decoder, tmp_path: Path) -> None:
    frames = pictures()
    frames[:, :16] = 0
    frames[:24, 16:24] = 0  # of the first segments only
    path = encode(tmp_path, "h264", frames)
    seen = put_together(seen_in_segments(decoder, path), THRESHOLD)
    assert seen is not None
    assert seen.outline.picture == seen_whole(decoder, path).outline.picture
    assert seen.outline.picture.top in (16, 17)


@pytest.mark.parametrize("kind", ["h264", "h264 in mkv", "vp9"])
@pytest.mark.parametrize("frame", [11, 12, 17, FRAMES - 1])
def test_segments_are_in_doubt_where_the_file_is_damaged(
    decoder: Decoder, tmp_path: Path, kind: str, frame: int
) -> None:
    path = encode(tmp_path, kind, pictures())
    spoil(path, frame)
    damage = seen_whole(decoder, path).damage
    assert damage or frame == 12, "noise in a key frame may happen to be valid"
    assert (put_together(seen_in_segments(decoder, path), THRESHOLD) is None) == bool(damage)


@pytest.mark.parametrize(
    "kind", ["h264 open", "h264 in ts", "mpeg4 in avi", "mpeg2 in mpg", "mjpeg"]
)
def test_a_file_that_cannot_be_entered_in_the_middle_has_no_segments(
    decoder: Decoder, tmp_path: Path, kind: str
) -> None:
    path = encode(tmp_path, kind, pictures())
    assert [*decoder.stream(segments, path, TEN_FRAMES)] == [[]]


def test_a_file_that_fits_at_hand_has_no_segments(decoder: Decoder, tmp_path: Path) -> None:
    path = encode(tmp_path, "h264", pictures())
    assert [*decoder.stream(segments, path, FRAMES * TEN_FRAMES // 10)] == [[]]


def test_a_file_that_ends_early_is_left_to_one_worker(decoder: Decoder, tmp_path: Path) -> None:
    path = encode(tmp_path, "h264 in mkv", pictures())
    path.write_bytes(path.read_bytes()[:-2_000])
    found = seen_in_segments(decoder, path)
    assert not found or put_together(found, THRESHOLD) is None


class Noted:
    """A worker that writes down what it is asked for."""

    def __init__(self, worker: VideoWorker, asked: list[str]) -> None:
        self.worker, self.asked = worker, asked

    def __getattr__(self, method: str) -> Callable[..., object]:
        self.asked.append(method)
        asked: Callable[..., object] = getattr(self.worker, method)
        return asked


def scored(folder: Path, video: SourceVideo, segment_bytes: int) -> tuple[list[str], list[Clip]]:
    """What two workers were asked for, and the video's clips."""
    task = ScoringTask(UPath(folder), config(workers=2), load_filters(), segment_bytes)
    asked: list[str] = []
    with (
        closing(VideoWorker(task)) as one,
        closing(VideoWorker(task)) as other,
        ThreadPoolExecutor(2) as threads,
    ):
        free = [one, other]
        workers = LocalWorkers(lambda: Noted(free.pop(), asked), threads)
        [(_, clips, permanent)] = all_scored(
            {video.video_id: [video]}, workers, task.config, Silent()
        )
    assert permanent
    return asked, clips


@pytest.mark.parametrize("damaged", [False, True])
def test_shared_out_or_not_a_file_gives_the_same_clips(tmp_path: Path, damaged: bool) -> None:
    path = encode(tmp_path, "h264", with_a_cut())
    if damaged:
        spoil(path, 17)
    video = listed(tmp_path, path.name, path.read_bytes())
    alone, expected = scored(tmp_path, video, FRAMES * TEN_FRAMES)
    shared, clips = scored(tmp_path, video, TEN_FRAMES)
    assert clips == expected
    assert "look_through" not in alone
    assert shared.count("look_through") == 5
    assert shared.count("look_whole") == damaged


def test_what_passes_of_a_segment_is_four_small_pictures(decoder: Decoder, tmp_path: Path) -> None:
    path = encode(tmp_path, "h264", pictures())
    for seen in seen_in_segments(decoder, path):
        assert len(pickle.dumps(seen)) < 2 * HEIGHT * WIDTH * (3 + 1) + 1_000


def test_one_worker_looks_through_a_file_as_a_whole(tmp_path: Path) -> None:
    pieces = [listed(tmp_path, "long.mp4", moving(64))]
    task = ScoringTask(UPath(tmp_path), config(workers=1), load_filters(), segment_bytes=1)
    with closing(VideoWorker(task)) as worker:
        assert not isinstance(worker.look(pieces), list)
