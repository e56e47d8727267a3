"""Which videos are held out: whole videos, by a draw that stays the same as others join."""

import hashlib
from collections.abc import Mapping


def held_out_videos(videos: Mapping[str, bool | None], share: float) -> set[str]:
    """The video ids whose clips are kept from training.

    `videos` maps an id to what its source says: held out, not held out, or None where a draw
    decides, by a digest of the id. Where the draw leaves a side empty that both a positive share
    and two videos could fill, the video nearest to the threshold changes sides.
    """
    undecided = sorted((_draw(video), video) for video, said in videos.items() if said is None)
    held_out = {video for video, said in videos.items() if said}
    held_out |= {video for drawn, video in undecided if drawn < share}
    if not 0 < share < 1 or len(videos) < 2 or not undecided:
        return held_out
    if not held_out:
        return {undecided[0][1]}
    if len(held_out) == len(videos):
        return held_out - {undecided[-1][1]}
    return held_out


def _draw(video: str) -> float:
    """Uniform in [0, 1)."""
    return int.from_bytes(hashlib.sha256(video.encode()).digest()[:8]) / 2**64
