"""Read frames with decord. Only ever called in a `Decoder`'s process: decord can abort it.

Nor is decord imported in any other: it loads every library of NVIDIA's wheels into the global
namespace, among them one that offers BLAS and, without its configuration, calls a null pointer.
A torch that is imported later takes its matrix products from there.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from av.container import InputContainer
from av.video.stream import VideoStream

from exvideo.video.packets import VideoPacket, frame_numbers
from exvideo.video.rgb import Frame

if TYPE_CHECKING:
    import decord

BURST_FRAMES, BURST_BYTES = 512, 256 << 20
"""What is decoded at a time, at most; a burst begins by decoding from the last key frame on."""

LONGEST = 10_000
"""Packets of a file that decord reads: it looks through all of them whenever it opens one."""

INDEXED = {"avi", "matroska", "mov"}
"""Containers with an index of their key frames; in others decord's seeking is off by frames."""

REFUSED = {"hevc"}
"""Codecs that decord gives up on when they reorder frames."""


def suits_decord(
    container: InputContainer, stream: VideoStream, packets: Sequence[VideoPacket]
) -> bool:
    """Whether decord finds the right frames in the file, and soon.

    It takes a key frame's place in the order of decoding for its number, which is wrong where
    frames are shown before a key frame that is decoded first (open groups of pictures), and
    counts frames that an edit list hides.
    """
    numbers = frame_numbers(packets)
    if numbers is None or stream.codec_context.name in REFUSED or len(packets) > LONGEST:
        return False
    if INDEXED.isdisjoint(container.format.name.split(",")):
        return False
    keys = (place for place, packet in enumerate(packets) if packet.is_key)
    return -1 not in numbers and all(numbers[place] == place for place in keys)


def check_decord_counts(path: Path, count: int) -> None:
    """Raises `RuntimeError` where decord finds another number of frames than `count`."""
    found = len(_open(path))
    if found != count:
        raise RuntimeError(f"its decoders disagree: decord counts {found} frames, PyAV {count}")


def decord_frames(path: Path, start: int, count: int, stride: int) -> Iterator[Frame]:
    """`count` frames, every `stride`-th from `start`, uint8 [H,W,3] RGB.

    Raises `EOFError` where the file ends before them, `decord.DECORDError` where decord gives up.
    """
    reader = _open(path)
    done = 0
    while done < count:
        for frame in _burst(reader, start + done * stride, count - done, stride):
            yield frame
            done += 1


def _open(path: Path) -> "decord.VideoReader":
    import decord

    # One thread a file: parallel work is a matter of whole videos.
    return decord.VideoReader(str(path), num_threads=1)


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
