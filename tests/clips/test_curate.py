from pathlib import Path

import numpy as np
import pytest
from upath import UPath

from exvideo.clips.curate import curate
from exvideo.clips.filters.names import OWN
from exvideo.clips.manifest import Clip, read_clips, write_clips
from exvideo.config import ClipsConfig
from exvideo.progress import Silent
from exvideo.sources.manifest import SourceVideo
from tests.clips.videos import SIDE, config, kinds, listed, moving


def curated(folder: Path, videos: list[SourceVideo], settings: ClipsConfig) -> list[Clip]:
    return curate(videos, UPath(folder), settings, UPath(folder / "remembered"), Silent())


def test_the_same_frames_count_once(tmp_path: Path) -> None:
    videos = [listed(tmp_path, name, moving(8)) for name in ("a.mp4", "b.mp4")]
    clips = curated(tmp_path, videos, config())
    assert [clip.reason for clip in clips] == [None, "duplicate: the same frames as in a.mp4"]
    assert clips[0].clip_id != clips[1].clip_id


def test_a_rerun_decodes_only_what_is_new(tmp_path: Path) -> None:
    old = listed(tmp_path, "old.mp4", moving(16))
    before = curated(tmp_path, [old], config())
    (tmp_path / "old.mp4").unlink()
    new = listed(tmp_path, "zebra.mp4", moving(9, "coffee"))
    after = curated(tmp_path, [old, new], config())
    assert after[: len(before)] == before
    assert kinds(after[len(before) :]) == ["kept"]


def test_a_remembered_video_may_move(tmp_path: Path) -> None:
    video = listed(tmp_path, "old.mp4", moving(8))
    curated(tmp_path, [video], config())
    moved = video.model_copy(update={"path": "new.mp4", "video_id": "new.mp4"})
    (clip,) = curated(tmp_path, [moved], config())
    assert (clip.video_id, clip.pieces[0].path) == ("new.mp4", "new.mp4")


def test_a_file_that_was_gone_is_tried_again(tmp_path: Path) -> None:
    video = listed(tmp_path, "video.mp4", moving(8))
    content = (tmp_path / "video.mp4").read_bytes()
    (tmp_path / "video.mp4").unlink()
    assert kinds(curated(tmp_path, [video], config())) == ["unreadable"]
    (tmp_path / "video.mp4").write_bytes(content)
    assert kinds(curated(tmp_path, [video], config())) == ["kept"]


def test_all_clips_of_a_video_stand_on_one_side(tmp_path: Path) -> None:
    videos = [
        listed(tmp_path, "a.mp4", moving(16), held_out=True),
        listed(tmp_path, "b.mp4", moving(16, "coffee"), held_out=False),
    ]
    clips = curated(tmp_path, videos, config())
    assert [clip.split for clip in clips] == ["held_out", "held_out", "train", "train"]


def test_the_outcome_does_not_depend_on_the_workers(tmp_path: Path) -> None:
    videos = [listed(tmp_path, f"{name}.mp4", moving(9, name)) for name in ("coffee", "brick")]
    videos.append(listed(tmp_path, "broken.mp4", b"no video"))
    outcomes = [
        curate(videos, UPath(tmp_path), config(workers=n), UPath(tmp_path / f"{n}"), Silent())
        for n in (1, 3)
    ]
    assert outcomes[0] == outcomes[1]


def test_a_manifest_reads_back_as_written(tmp_path: Path) -> None:
    clips = curated(tmp_path, [listed(tmp_path, "v.mp4", moving(9))], config())
    written = write_clips(UPath(tmp_path), clips)
    (read,) = read_clips(UPath(tmp_path / written.name))
    floats = {"fps", "motion_score", "contrast", "flow_speed"}
    assert read.model_dump(exclude=floats) == clips[0].model_dump(exclude=floats)
    assert read.model_dump(include=floats) == pytest.approx(clips[0].model_dump(include=floats))
    assert write_clips(UPath(tmp_path), clips) == written


def test_another_threshold_decodes_and_scores_nothing(tmp_path: Path) -> None:
    video = listed(tmp_path, "video.mp4", moving(9))
    assert kinds(curated(tmp_path, [video], config())) == ["kept"]
    (tmp_path / "video.mp4").unlink()
    stricter = config(filters={"motion": 0.9, "contrast": None})
    (clip,) = curated(tmp_path, [video], stricter)
    assert (clip.reason or "").startswith("still: motion 0.")
    assert set(clip.scores) == set(OWN) - {"dissolve"}  # too short for it


def test_captions_and_licences_come_with_every_run(tmp_path: Path) -> None:
    video = listed(tmp_path, "video.mp4", moving(9))
    (clip,) = curated(tmp_path, [video], config())
    assert (clip.caption, clip.licence) == ("", "none")
    told = video.model_copy(update={"caption": "An astronaut.", "licence_claimed": "CC0"})
    (tmp_path / "video.mp4").unlink()  # nothing is decoded anew
    (clip,) = curated(tmp_path, [told], config())
    assert (clip.status, clip.caption, clip.licence) == ("kept", "An astronaut.", "CC0")


def test_borders_are_cropped_away_before_the_clip_is_cut(tmp_path: Path) -> None:
    frames = np.zeros((9, 64, SIDE, 3), np.uint8)
    frames[:, 8:-8] = moving(9)
    (clip,) = curated(tmp_path, [listed(tmp_path, "wide.mp4", frames)], config())
    assert clip.status == "kept"
    assert 8 <= clip.crop_top <= 9
    assert clip.crop_top + clip.crop_height <= 56
