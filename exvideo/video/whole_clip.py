"""A video from its beginning, at its own size. Only ever called in a `Decoder`'s process."""

from collections.abc import Iterator
from pathlib import Path

from exvideo.video.checked import checked_video
from exvideo.video.rgb import Frame, rgb


def whole_clip(path: Path, most: int) -> Iterator[tuple[float, Frame | None]]:
    """Its first `most` frames, uint8 [H,W,3] RGB, None for what follows; each with the frame rate.

    Raises `RuntimeError` where any of the file is damaged: what was made up would be measured.
    """
    with checked_video(path) as video:
        for number, frame in enumerate(video.frames()):
            yield video.fps, rgb(frame) if number < most else None
        damage = video.verdict().damage
    if damage:
        first = damage[0]
        raise RuntimeError(f"damaged: frames {first.start} to {first.end - 1} ({first.reason})")
