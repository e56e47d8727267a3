"""Read a file's frames by their numbers. Only ever called in a `Decoder`'s process.

Those of a short file may be at hand. Else decord reads where it finds the right ones, PyAV where
it does not; all give the same bytes.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from exvideo.video.at_hand import held
from exvideo.video.crop import Crop
from exvideo.video.decord_frames import check_decord_counts, decord_frames, suits_decord
from exvideo.video.packets import VideoPacket, opened, video_packets
from exvideo.video.pyav_frames import pyav_frames
from exvideo.video.rgb import Frame, rgb


def cropped_frames(
    path: Path, start: int, count: int, stride: int, crop: Crop, height: int, width: int
) -> Iterator[Frame]:
    """`count` frames, every `stride`-th from `start`, cropped and resized, uint8 [H,W,3] RGB.

    Frames are numbered in the order of showing. Raises `EOFError` where one does not come out of
    the decoder.
    """
    rows = slice(crop.top, crop.top + crop.height)
    columns = slice(crop.left, crop.left + crop.width)
    # Averaging areas is the one of OpenCV's ways that does not alias when it shrinks.
    shrinks = height <= crop.height and width <= crop.width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    for frame in _read(path, start, count, stride):
        resized = cv2.resize(frame[rows, columns], (width, height), interpolation=how)
        yield resized.astype(np.uint8, copy=False)


def _read(path: Path, start: int, count: int, stride: int) -> Iterator[Frame]:
    import decord

    at_hand = held(path)
    if at_hand is not None:
        for number in range(start, start + count * stride, stride):
            yield rgb(at_hand[number])
        return
    packets, suits = indexed(path)
    done = 0
    if suits:
        try:
            for frame in decord_frames(path, start, count, stride):
                yield frame
                done += 1
        except decord.DECORDError:
            # decord decodes ahead and gives up over damage behind the frames that are asked for.
            pass
    yield from pyav_frames(path, packets, start + done * stride, count - done, stride)


def check_readers_agree(path: Path) -> None:
    """Raises `RuntimeError` where decord would read the file and finds other frames in it."""
    packets, suits = indexed(path)
    if suits:
        check_decord_counts(path, len(packets))


def indexed(path: Path) -> tuple[Sequence[VideoPacket], bool]:
    """The file's packets, and whether decord finds the right frames in it."""
    now = path.stat()
    return _index(path, now.st_size, now.st_mtime_ns)


# Every window of a long video asks for it, and a clip may lie over two pieces.
@lru_cache(maxsize=2)
def _index(path: Path, _size: int, _modified: int) -> tuple[Sequence[VideoPacket], bool]:
    with opened(path) as (container, stream):
        packets = video_packets(container, stream)
        return packets, suits_decord(container, stream, packets)
