"""Which clips an evaluation starts from: held-out ones, from as many videos as there are."""

from collections.abc import Sequence
from itertools import chain, zip_longest

from exvideo.clips.manifest import Clip
from exvideo.errors import InputError


def choose_held_out(clips: Sequence[Clip], count: int) -> list[Clip]:
    """At most `count` kept clips of the held-out split, always the same ones.

    A video's second clip comes after every video's first, since clips of one video look alike.

    Raises `InputError` where none is held out.
    """
    held_out = sorted(
        (clip for clip in clips if clip.status == "kept" and clip.split == "held_out"),
        key=lambda clip: clip.clip_id,
    )
    if not held_out:
        raise InputError(
            f"none of the {len(clips)} clips is held out for evaluation: raise "
            "clips.held_out_videos or add videos"
        )
    videos: dict[str, list[Clip]] = {}
    for clip in held_out:
        videos.setdefault(clip.video_id, []).append(clip)
    rounds = chain.from_iterable(zip_longest(*videos.values()))
    return [clip for clip in rounds if clip is not None][:count]
