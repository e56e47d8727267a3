"""An FFmpeg frame's pixels as people see them."""

import av
import numpy as np
from av.video.reformatter import Interpolation
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
    if size is None:
        pixels = frame.to_ndarray(format="rgb24")
    else:
        height, width = size[::-1] if turns % 2 else size
        small = frame.reformat(width, height, "rgb24", interpolation=Interpolation.AREA)
        pixels = small.to_ndarray()
    return np.ascontiguousarray(np.rot90(pixels, turns), dtype=np.uint8)


def _quarter_turns(frame: av.VideoFrame) -> int:
    """Counterclockwise."""
    return round(frame.rotation / 90) % 4
