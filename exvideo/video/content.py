"""Whether a file is a video, by what is in it."""

from collections.abc import Iterator
from pathlib import Path

from av.stream import Disposition

from exvideo.video.packets import opened

PICTURES = {"image2", "tty"}
"""Formats of FFmpeg whose video is a picture, or text; those of pictures mostly end in `_pipe`."""


def holds_video(path: Path) -> Iterator[bool]:
    """Whether FFmpeg finds a moving picture in the file.

    Raises `av.FFmpegError` where it can't open it, `EOFError` where it holds no video. For a
    `Decoder`, as any file may be met.
    """
    with opened(path) as (container, stream):
        name = container.format.name
        cover = Disposition.attached_pic in stream.disposition
        yield not (cover or name in PICTURES or name.endswith("_pipe"))
