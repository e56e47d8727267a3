"""Clips of exactly the same frames."""

from collections.abc import Iterable

from exvideo.clips.manifest import Clip
from exvideo.receipt import digest_of


def without_duplicates(clips: Iterable[Clip]) -> list[Clip]:
    """The same frames count once; a repetition gets its own id and, if need be, its reason."""
    first: dict[str, Clip] = {}
    rows: list[Clip] = []
    for clip in clips:
        original = first.setdefault(clip.clip_id, clip)
        if original is not clip:
            own_id = digest_of([clip.clip_id, clip.video_id, len(rows)])[:16]
            clip = clip.model_copy(update={"clip_id": own_id})
            if clip.status == "kept":
                clip = clip.rejected(f"duplicate: the same frames as in {original.video_id}")
        rows.append(clip)
    return rows
