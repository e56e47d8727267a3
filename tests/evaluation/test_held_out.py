import pytest

from exvideo.clips.manifest import Clip
from exvideo.errors import InputError
from exvideo.evaluation.held_out import choose_held_out


def clip(clip_id: str, video_id: str, split: str = "held_out", status: str = "kept") -> Clip:
    return Clip(
        clip_id=clip_id, video_id=video_id, source="local", status=status, split=split,
        pieces=[], num_frames=8, height=64, width=64,
    )  # fmt: skip


def test_every_video_comes_once_before_any_comes_twice() -> None:
    clips = [clip("a", "v"), clip("b", "v"), clip("c", "w"), clip("d", "x")]
    assert [it.clip_id for it in choose_held_out(clips, 4)] == ["a", "c", "d", "b"]


def test_the_choice_depends_on_neither_order_nor_rejected_nor_training_clips() -> None:
    clips = [clip("a", "v"), clip("c", "w")]
    others = [clip("0", "y", split="train"), clip("1", "z", status="rejected")]
    assert choose_held_out([*clips[::-1], *others], 2) == clips


def test_no_held_out_clip_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"none of the 1 clips is held out.*held_out_videos"):
        choose_held_out([clip("a", "v", split="train")], 2)
