"""Copies of a clip that somebody has worked over, among clips that only resemble it."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from exvideo.clips.filters.footage import Footage
from exvideo.clips.manifest import Clip, ClipPiece
from exvideo.clips.near_duplicates import without_near_duplicates
from exvideo.clips.signature import signature
from exvideo.world import TRAIN_PHOTOGRAPHS, random_spec, render_clip

Frames = NDArray[np.uint8]
SIDE, COUNT, BITS = 128, 24, 10
PLAIN = ("moon", "hubble", "moon", "hubble")


def video(seed: int, count: int = COUNT) -> Frames:
    spec = random_spec(seed, TRAIN_PHOTOGRAPHS, fps=24)
    return render_clip(spec, count, SIDE, SIDE, fps=24).frames


def resized(frames: Frames, side: int) -> Frames:
    return np.stack([cv2.resize(f, (side, side), interpolation=cv2.INTER_AREA) for f in frames])


def jpeg(frames: Frames) -> Frames:
    coded = [cv2.imencode(".jpg", f, [cv2.IMWRITE_JPEG_QUALITY, 25])[1] for f in frames]
    return np.stack([cv2.imdecode(c, cv2.IMREAD_COLOR) for c in coded]).astype(np.uint8)


def logo(frames: Frames) -> Frames:
    marked = frames.copy()
    marked[:, 6:22, -38:-6] = (250, 250, 40)
    return marked


def clip(name: str, frames: Frames, side: int = SIDE) -> Clip:
    return Clip(
        clip_id=name,
        video_id=name,
        source="test",
        status="kept",
        pieces=[ClipPiece(path=name, sha256="0" * 64, start_frame=0, num_frames=COUNT)],
        crop_height=side,
        crop_width=side,
        num_frames=COUNT,
        height=SIDE,
        width=SIDE,
        signature=signature(Footage(frames, 24.0)),
    )


COPIES: dict[str, Callable[[int], Frames]] = {
    "encoded again": lambda seed: jpeg(video(seed)),
    "smaller": lambda seed: resized(video(seed), 80),
    "cropped": lambda seed: resized(video(seed)[:, 5:-5, 5:-5], SIDE),
    "faster": lambda seed: video(seed, 2 * COUNT)[: COUNT * 5 // 4][
        np.linspace(0, COUNT * 5 // 4 - 1, COUNT).astype(int)
    ],
    "with a logo": lambda seed: logo(video(seed)),
}


@pytest.mark.parametrize("change", COPIES)
def test_a_copy_is_found_and_names_the_original(change: str) -> None:
    originals = [clip(f"{seed}", video(seed)) for seed in range(6)]
    copies = [clip(f"{seed} copy", COPIES[change](seed)) for seed in range(6)]
    judged = without_near_duplicates([*originals, *copies], BITS)
    assert [found.status for found in judged[:6]] == ["kept"] * 6
    for original, copy in zip(judged[:6], judged[6:], strict=True):
        assert copy.reason_kind == "near-duplicate"
        assert f"from {original.clip_id} in {original.video_id}" in (copy.reason or "")


def test_the_larger_source_is_kept() -> None:
    small, large = clip("a", video(0), side=90), clip("b", video(0))
    judged = without_near_duplicates([small, large], BITS)
    assert [found.status for found in judged] == ["rejected", "kept"]


def test_a_logo_on_two_plain_pictures_does_not_make_them_one() -> None:
    """The moon's plains and a nebula, on which hardly anything but the logo stands out."""
    specs = [random_spec(seed, (name,), fps=24, max_layers=0) for seed, name in enumerate(PLAIN)]
    videos = [render_clip(spec, COUNT, SIDE, SIDE, fps=24).frames for spec in specs]
    clips = [clip(f"{k}", logo(frames)) for k, frames in enumerate(videos)]
    assert without_near_duplicates(clips, BITS) == clips


def test_different_videos_are_all_kept() -> None:
    clips = [clip(f"{seed}", video(seed)) for seed in range(40, 70)]
    assert without_near_duplicates(clips, BITS) == clips


def test_clips_of_one_video_are_never_held_against_each_other() -> None:
    one = clip("a", video(0))
    other = clip("b", video(0)).model_copy(update={"video_id": "a"})
    assert [found.status for found in without_near_duplicates([one, other], BITS)] == ["kept"] * 2
