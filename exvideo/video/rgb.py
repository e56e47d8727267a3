"""An FFmpeg frame's pixels as people see them."""

import threading
from functools import lru_cache

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
"""[H,W,3] RGB."""


def upright_size(frame: av.VideoFrame) -> tuple[int, int]:
    """Height and width, px, once the frame is turned as its file asks."""
    size = frame.height, frame.width
    return size[::-1] if _quarter_turns(frame) % 2 else size


def rgb(frame: av.VideoFrame, size: tuple[int, int] | None = None) -> Frame:
    """The frame upright, shrunk to `size` (height and width, px) by averaging where it is given."""
    turns = _quarter_turns(frame)
    height, width = (size[::-1] if turns % 2 else size) if size else (frame.height, frame.width)
    how = Interpolation.AREA if size else None
    convert = _reformatter(threading.get_ident(), size).reformat
    converted = convert(frame, width, height, "rgb24", interpolation=how, threads=1)
    return np.ascontiguousarray(np.rot90(converted.to_ndarray(), turns), dtype=np.uint8)


@lru_cache(maxsize=8)
def _reformatter(_thread: int, _size: tuple[int, int] | None) -> VideoReformatter:
    """A frame's own would be set up anew for each frame, with as many threads as processors."""
    return VideoReformatter()


def _quarter_turns(frame: av.VideoFrame) -> int:
    """Counterclockwise."""
    return round(frame.rotation / 90) % 4
