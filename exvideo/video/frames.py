"""Read frames with decord. Only ever called in a `Decoder`'s process: decord can abort it.

Nor is decord imported in any other: it loads every library of NVIDIA's wheels into the global
namespace, among them one that offers BLAS and, without its configuration, calls a null pointer.
A torch that is imported later takes its matrix products from there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from exvideo.video.crop import Crop

if TYPE_CHECKING:
    import decord

Frame = NDArray[np.uint8]

BURST_FRAMES, BURST_BYTES = 512, 256 << 20
"""What is decoded at a time, at most; a burst begins by decoding from the last key frame on."""


@dataclass(frozen=True)
class VideoInfo:
    """What a container says about its video; the frame rate may be false."""

    num_frames: int
    fps: float
    height: int
    width: int


def probe(path: Path) -> VideoInfo:
    """Open the file and decode its first frame."""
    reader = _open(path)
    height, width, _ = _next(reader).shape
    return VideoInfo(len(reader), float(reader.get_avg_fps()), height, width)


def scaled_frames(path: Path, height: int, width: int) -> Iterator[Frame]:
    """Every frame of the file, scaled by the decoder, uint8 [H,W,3] RGB.

    Raises `EOFError` where the file ends before the frames that it promises.
    """
    reader = _open(path, height, width)
    yield from _frames(reader, 0, len(reader), 1)


def cropped_frames(
    path: Path, start: int, count: int, stride: int, crop: Crop, height: int, width: int
) -> Iterator[Frame]:
    """`count` frames, every `stride`-th from `start`, cropped and resized, uint8 [H,W,3] RGB.

    Raises `EOFError` where the file ends before them.
    """
    reader = _open(path)
    rows = slice(crop.top, crop.top + crop.height)
    columns = slice(crop.left, crop.left + crop.width)
    # Averaging areas is the one of OpenCV's ways that does not alias when it shrinks.
    shrinks = height <= crop.height and width <= crop.width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    for frame in _frames(reader, start, count, stride):
        resized = cv2.resize(frame[rows, columns], (width, height), interpolation=how)
        yield resized.astype(np.uint8, copy=False)


def _open(path: Path, height: int = -1, width: int = -1) -> "decord.VideoReader":
    import decord

    # One thread a file: parallel work is a matter of whole videos.
    return decord.VideoReader(str(path), height=height, width=width, num_threads=1)


def _frames(reader: "decord.VideoReader", start: int, count: int, stride: int) -> Iterator[Frame]:
    done = 0
    while done < count:
        for frame in _burst(reader, start + done * stride, count - done, stride):
            yield frame
            done += 1


def _burst(reader: "decord.VideoReader", start: int, count: int, stride: int) -> list[Frame]:
    """As many of the frames as fit into memory, read faster than the decoder can run ahead."""
    reader.seek_accurate(start)
    frames: list[Frame] = []
    while len(frames) < min(count, BURST_FRAMES) and sum(f.nbytes for f in frames) < BURST_BYTES:
        if frames and stride > 1:
            reader.skip_frames(stride - 1)
        try:
            frames.append(_next(reader))
        except StopIteration:
            read = start + len(frames) * stride
            raise EOFError(f"ends after {read} of {len(reader)} frames") from None
    # decord decodes the whole file ahead, whether or not somebody reads: seeking drops all that.
    reader.seek(0)
    return frames


def _next(reader: "decord.VideoReader") -> Frame:
    frame = reader.next().asnumpy()
    height, width, channels = frame.shape
    if channels != 3:
        # Rows are padded to 64 px, and decord takes the padding of narrow frames for channels.
        frame = frame.reshape(height, width * channels)[:, : 3 * width].reshape(height, width, 3)
    return frame
