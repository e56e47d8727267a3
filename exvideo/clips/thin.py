"""No more clips of a video than the preset asks for."""

from collections.abc import Sequence

from exvideo.clips.manifest import Clip
from exvideo.clips.windows import spread


def thinned(clips: Sequence[Clip], limit: int) -> list[Clip]:
    """Of one video's clips at most `limit` of the good ones, evenly spread."""
    good = [index for index, clip in enumerate(clips) if clip.status == "kept"]
    chosen = {good[position] for position in spread(len(good), limit)}
    reason = f"surplus: the video has {len(good)} good clips, {limit} are taken"
    return [
        clip.rejected(reason) if clip.status == "kept" and index not in chosen else clip
        for index, clip in enumerate(clips)
    ]
