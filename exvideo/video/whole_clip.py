"""A video from its beginning, at its own size. Only ever called in a `Decoder`'s process."""

from collections.abc import Iterator
from pathlib import Path

from exvideo.video.crop import Crop
from exvideo.video.frames import Frame, VideoInfo, cropped_frames, probe


def whole_clip(path: Path, most: int) -> Iterator[tuple[VideoInfo, Frame]]:
    """At most its first `most` frames, uint8 [H,W,3] RGB, each with what the container says."""
    info = probe(path)
    everything = Crop(0, 0, info.height, info.width)
    size = (info.height, info.width)
    for frame in cropped_frames(path, 0, min(most, info.num_frames), 1, everything, *size):
        yield info, frame
