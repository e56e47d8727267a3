"""A video's packets in the order of decoding, and which frame each of them holds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream


@dataclass
class VideoPacket:
    """What a file holds of one frame."""

    pts: int | None
    """When the frame is shown, in the stream's own unit."""
    dts: int | None
    is_key: bool
    """Whether decoding can begin here."""
    is_hidden: bool
    """Whether an edit list keeps the frame from being shown."""
    damage: str | None = None
    is_after_loss: bool = False
    """Whether packets may be missing in front of this one."""


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The file and the stream that players show, decoded by one thread.

    Raises `av.FFmpegError` where FFmpeg cannot open it, `EOFError` where it holds no video.
    """
    # Names in a file's metadata may be in any encoding, and are never read.
    with av.open(str(path), metadata_errors="replace") as container:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream):
            raise EOFError("holds no video")
        # Parallel work is a matter of whole videos.
        stream.codec_context.thread_count = 1
        yield container, stream


def video_packets(container: InputContainer, stream: VideoStream) -> list[VideoPacket]:
    """Every packet, none of them decoded."""
    packets = []
    try:
        for packet in container.demux(stream):
            if packet.size:
                packets.append(described(packet))
    except av.FFmpegError:
        # What cannot be reached is not counted; a scan says so.
        pass
    return packets


def described(packet: av.Packet) -> VideoPacket:
    """The packet without its content."""
    damage = "a packet is marked corrupt" if packet.is_corrupt else None
    return VideoPacket(packet.pts, packet.dts, packet.is_keyframe, packet.is_discard, damage)


def frame_numbers(packets: Sequence[VideoPacket]) -> list[int] | None:
    """The number of each packet's frame in the order of showing; -1 where it is hidden.

    None where times are missing or repeat: only decoding from the beginning tells frames apart.
    """
    shown = [packet.pts for packet in packets if not packet.is_hidden]
    times = sorted({pts for pts in shown if pts is not None})
    if len(times) < len(shown):
        return None
    number_of = {pts: number for number, pts in enumerate(times)}
    return [
        -1 if packet.is_hidden or packet.pts is None else number_of[packet.pts]
        for packet in packets
    ]


def reordering(numbers: Sequence[int]) -> int:
    """How many frames, at most, are decoded before one that is shown before them."""
    shown = [number for number in numbers if number >= 0]
    return max((position - number for position, number in enumerate(shown)), default=0)
