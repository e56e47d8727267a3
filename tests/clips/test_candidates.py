import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from upath import UPath

from exvideo.clips.candidates import candidates
from exvideo.clips.curate import chosen
from exvideo.clips.filters.load import load_filters
from exvideo.clips.funnel import check_some_kept
from exvideo.clips.manifest import Clip
from exvideo.clips.read import read_clip
from exvideo.clips.transnet import TransNet
from exvideo.clips.video_turns import Video, VideoTurn
from exvideo.clips.video_worker import score_windows
from exvideo.config import ClipsConfig
from exvideo.errors import InputError
from exvideo.sources.manifest import SourceVideo
from exvideo.video.decoder import Decoder
from exvideo.world import motion_bucket_id
from tests.clips.videos import FPS, SIDE, config, kinds, listed, moving
from tests.video.encoded import encode, spoil
from tests.video.encoded import moving as pictures
from tests.video.real import real_clip


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(timeout_s=60) as decoder:
        yield decoder


def cut(
    decoder: Decoder, folder: Path, pieces: list[SourceVideo], settings: ClipsConfig
) -> list[Clip]:
    filters = load_filters()
    with TransNet() as transnet:
        found = candidates(pieces, UPath(folder), settings, decoder, transnet)
    video = Video(pieces[0].video_id, pieces, settings)
    for turn in video.take(VideoTurn(video.video_id, "look", pieces), found):
        video.take(turn, score_windows(turn.argument, UPath(folder), filters, decoder))
    return chosen(video.clips(), settings, filters)


def test_a_clip_runs_over_the_seam_between_two_pieces(decoder: Decoder, tmp_path: Path) -> None:
    frames = moving(24)
    pieces = [
        listed(tmp_path, f"sky_00{k}.mp4", frames[12 * k : 12 * k + 12], "sky", piece=k)
        for k in range(2)
    ]
    clips = cut(decoder, tmp_path, pieces, config(height=SIDE, width=SIDE))
    assert kinds(clips) == ["kept"] * 3
    middle = clips[1]
    assert [(piece.path, piece.start_frame, piece.num_frames) for piece in middle.pieces] == [
        ("sky_000.mp4", 8, 4),
        ("sky_001.mp4", 0, 4),
    ]
    read = read_clip(middle, UPath(tmp_path), decoder)
    errors = [np.abs(read.astype(int) - frames[k : k + 8]).mean() for k in range(17)]
    assert np.argmin(errors) == 8
    assert errors[8] < 5


def test_a_clip_gets_the_nearest_aspect_and_the_longest_of_it_that_fits(
    decoder: Decoder, tmp_path: Path
) -> None:
    shapes = [
        {"num_frames": 4, "height": 32, "width": 32},
        {"num_frames": 6, "height": 16, "width": 32},
        {"num_frames": 3, "height": 16, "width": 32},
    ]
    settings = config(buckets=shapes)
    videos = {"long": moving(9), "short": moving(5), "wide": moving(13)[:, :24], "stub": moving(3)}
    for name, frames in videos.items():
        videos[name] = cut(decoder, tmp_path, [listed(tmp_path, f"{name}.mp4", frames)], settings)
    shown = {name: [clip.shape for clip in clips] for name, clips in videos.items()}
    assert shown["long"] == [(8, 32, 32)]
    assert shown["short"] == [(4, 32, 32)]
    assert shown["wide"] == [(6, 16, 32)] * 2
    (stub,) = videos["stub"]
    assert stub.reason == "too short: 3 of 4 frames without a cut"


def test_no_clip_runs_over_a_missing_piece(decoder: Decoder, tmp_path: Path) -> None:
    frames = moving(24)
    pieces = [
        listed(tmp_path, f"sky_00{k}.mp4", frames[12 * i : 12 * i + 12], "sky", piece=k)
        for i, k in enumerate([0, 2])
    ]
    clips = cut(decoder, tmp_path, pieces, config())
    assert kinds(clips) == ["kept", "kept"]
    assert all(len(clip.pieces) == 1 for clip in clips)


def test_an_unreadable_piece_costs_only_itself(decoder: Decoder, tmp_path: Path) -> None:
    frames = moving(24)
    pieces = [
        listed(tmp_path, "sky_000.mp4", frames[:12], "sky", piece=0),
        listed(tmp_path, "sky_001.mp4", b"no video", "sky", piece=1),
        listed(tmp_path, "sky_002.mp4", frames[12:], "sky", piece=2),
    ]
    clips = cut(decoder, tmp_path, pieces, config())
    assert kinds(clips) == ["kept", "kept", "unreadable"]
    assert clips[2].pieces[0].path == "sky_001.mp4"


def test_damaged_frames_are_cut_out_and_named(decoder: Decoder, tmp_path: Path) -> None:
    path = encode(tmp_path, "h264", pictures())
    expected = cut(decoder, tmp_path, [listed(tmp_path, "v.mp4", path.read_bytes())], config())
    spoil(path, 17)
    clips = cut(decoder, tmp_path, [listed(tmp_path, "v.mp4", path.read_bytes())], config())
    assert kinds(expected) == ["kept"] * 7
    (damaged,) = (clip for clip in clips if clip.reason_kind == "damaged")
    assert re.fullmatch(r"damaged: frames 1[567] to 23 \(.+\)", damaged.reason or "")
    (piece,) = damaged.pieces
    assert (piece.path, piece.start_frame + piece.num_frames) == ("v.mp4", 24)
    kept = [clip.pieces[0].start_frame for clip in clips if clip.status == "kept"]
    assert kept == [0, 8, 24, 32, 40, 48]


def test_no_clip_runs_over_damage_into_the_next_piece(decoder: Decoder, tmp_path: Path) -> None:
    path = encode(tmp_path, "h264", pictures())
    sound = path.read_bytes()
    spoil(path, 50)
    pieces = [
        listed(tmp_path, "sky_000.mp4", path.read_bytes(), "sky", piece=0),
        listed(tmp_path, "sky_001.mp4", sound, "sky", piece=1),
    ]
    clips = cut(decoder, tmp_path, pieces, config(max_clips_per_video=100))
    kept = [clip for clip in clips if clip.status == "kept"]
    assert all(len(clip.pieces) == 1 for clip in kept)
    starts = [c.pieces[0].start_frame for c in kept if c.pieces[0].path == "sky_001.mp4"]
    assert starts == [0, 8, 16, 24, 32, 40, 48]
    assert Counter(kinds(clips))["damaged"] == 1


def test_no_clip_runs_over_a_cut(decoder: Decoder, tmp_path: Path) -> None:
    frames = np.concatenate([moving(11, "astronaut"), moving(12, "coffee")])
    clips = cut(decoder, tmp_path, [listed(tmp_path, "two scenes.mp4", frames)], config())
    assert [clip.pieces[0].start_frame for clip in clips] == [0, 11]


def test_a_cut_at_the_seam_of_two_pieces_is_seen(decoder: Decoder, tmp_path: Path) -> None:
    pieces = [
        listed(tmp_path, "a_000.mp4", moving(10, "astronaut"), "a", piece=0),
        listed(tmp_path, "a_001.mp4", moving(10, "coffee"), "a", piece=1),
    ]
    clips = cut(decoder, tmp_path, pieces, config())
    assert kinds(clips) == ["kept", "kept"]
    assert all(len(clip.pieces) == 1 for clip in clips)


def test_a_scene_that_is_too_short_says_by_how_much(decoder: Decoder, tmp_path: Path) -> None:
    clips = cut(decoder, tmp_path, [listed(tmp_path, "short.mp4", moving(7))], config())
    assert [clip.reason for clip in clips] == ["too short: 7 of 8 frames without a cut"]
    assert clips[0].num_frames == 7


def test_frames_are_left_out_but_never_repeated_to_reach_the_rate(
    decoder: Decoder, tmp_path: Path
) -> None:
    video = listed(tmp_path, "video.mp4", moving(24))
    (halved,) = cut(decoder, tmp_path, [video], config(fps=FPS / 2))
    assert (halved.stride, halved.fps) == (2, FPS / 2)
    read = read_clip(halved, UPath(tmp_path), decoder)
    pieces = [halved.pieces[0].model_copy(update={"num_frames": 15})]
    unhalved = halved.model_copy(update={"stride": 1, "num_frames": 15, "pieces": pieces})
    every = read_clip(unhalved, UPath(tmp_path), decoder)
    np.testing.assert_array_equal(read, every[::2])


def test_a_slow_video_keeps_its_own_rate(decoder: Decoder, tmp_path: Path) -> None:
    settings = config(fps=10.0 * FPS)
    clips = cut(decoder, tmp_path, [listed(tmp_path, "slow.mp4", moving(8))], settings)
    assert [(clip.stride, clip.fps) for clip in clips] == [(1, FPS)]


def test_an_assumed_rate_overrides_the_files(decoder: Decoder, tmp_path: Path) -> None:
    settings = config(assumed_fps=60.0, fps=30.0)
    (clip,) = cut(decoder, tmp_path, [listed(tmp_path, "false.mp4", moving(16))], settings)
    assert (clip.stride, clip.fps) == (2, 30.0)


@pytest.mark.parametrize(
    ("frames", "kind"),
    [
        (np.repeat(moving(1), 8, axis=0), "still"),
        (np.full((8, SIDE, SIDE, 3), 90, np.uint8), "blank"),
        (moving(8, side=24), "too small"),
    ],
)
def test_useless_clips_are_rejected(
    decoder: Decoder, tmp_path: Path, frames: np.ndarray, kind: str
) -> None:
    clips = cut(decoder, tmp_path, [listed(tmp_path, "video.mp4", frames)], config())
    assert kinds(clips) == [kind]


def test_the_limit_spreads_the_clips_over_the_video(decoder: Decoder, tmp_path: Path) -> None:
    video = listed(tmp_path, "long.mp4", moving(40))
    clips = cut(decoder, tmp_path, [video], config(max_clips_per_video=2))
    assert kinds(clips) == ["surplus", "kept", "surplus", "kept", "surplus"]


def test_a_clip_carries_its_crop_and_its_motion(decoder: Decoder, tmp_path: Path) -> None:
    (clip,) = cut(decoder, tmp_path, [listed(tmp_path, "v.mp4", moving(8))], config(height=16))
    assert (clip.crop_top, clip.crop_left, clip.crop_height, clip.crop_width) == (12, 0, 24, 48)
    assert clip.flow_speed
    assert clip.motion_bucket_id == motion_bucket_id(clip.flow_speed, 16)


def test_real_clips_are_kept(decoder: Decoder, tmp_path: Path) -> None:
    video = listed(tmp_path, "bikes.mp4", real_clip("bikes").read_bytes())
    clips = cut(decoder, tmp_path, [video], config(num_frames=24, max_clips_per_video=4))
    outcome = Counter(kinds(clips))
    assert outcome["kept"] == 4
    assert outcome["unreadable"] == 0


def test_too_few_frames_everywhere_is_an_error_that_says_what_there_is(
    decoder: Decoder, tmp_path: Path
) -> None:
    videos = [listed(tmp_path, f"{n}.mp4", moving(n)) for n in (5, 7)]
    clips = cut(decoder, tmp_path, videos, config())
    with pytest.raises(InputError, match=r"2 too short.*longest scene has 7 frames.*asks for 8"):
        check_some_kept(clips, config(), load_filters())


def test_only_broken_files_are_an_error_that_names_them(decoder: Decoder, tmp_path: Path) -> None:
    videos = [listed(tmp_path, f"{n}.mp4", b"no video %d" % n) for n in range(5)]
    clips = cut(decoder, tmp_path, videos, config())
    with pytest.raises(InputError, match=r"None of the files.*0\.mp4: .*1\.mp4: .*2\.mp4: "):
        check_some_kept(clips, config(), load_filters())


def test_still_and_blank_clips_only_are_an_error_that_names_the_settings(
    decoder: Decoder, tmp_path: Path
) -> None:
    still = listed(tmp_path, "still.mp4", np.repeat(moving(1), 8, axis=0))
    blank = listed(tmp_path, "blank.mp4", np.full((8, SIDE, SIDE, 3), 90, np.uint8))
    clips = cut(decoder, tmp_path, [still, blank], config())
    with pytest.raises(
        InputError,
        match=r"1 by motion, at best .* < 0\.005.*clips\.filters\.contrast.*clips\.filters\.motion",
    ):
        check_some_kept(clips, config(), load_filters())
