"""Read any frames of a file with PyAV, told apart by their times."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from exvideo.video.packets import VideoPacket, frame_numbers, opened
from exvideo.video.rgb import Frame, rgb


def pyav_frames(
    path: Path, packets: Sequence[VideoPacket], start: int, count: int, stride: int
) -> Iterator[Frame]:
    """`count` frames, every `stride`-th from `start`, uint8 [H,W,3] RGB.

    `packets` are the file's own. Raises `EOFError` where one of the frames does not come out.
    """
    wanted = iter(range(start, start + count * stride, stride))
    next_wanted = next(wanted, None)
    for number, frame in _numbered(path, packets, start):
        if next_wanted is None:
            return
        if number > next_wanted:
            break
        if number == next_wanted:
            yield rgb(frame)
            next_wanted = next(wanted, None)
    if next_wanted is not None:
        raise EOFError(f"frame {next_wanted} does not come out of the decoder")


def _numbered(
    path: Path, packets: Sequence[VideoPacket], start: int
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Frames with their numbers, from some key frame on that is not behind `start`."""
    numbers = frame_numbers(packets)
    if numbers is None:
        with opened(path) as (container, stream):
            yield from enumerate(_decoded(container.demux(stream)))
        return
    number_of = {packet.pts: n for packet, n in zip(packets, numbers, strict=True) if n >= 0}
    keys = [k for k, p in enumerate(packets) if p.is_key and 0 <= numbers[k] <= start]
    for key in reversed(keys):
        with opened(path) as (container, stream):
            came = _from(container, stream, packets, key)
            if came is not None:
                yield from ((number_of[f.pts], f) for f in came if f.pts in number_of)
                return
    with opened(path) as (container, stream):
        frames = _decoded(container.demux(stream))
        yield from ((number_of[f.pts], f) for f in frames if f.pts in number_of)


def _from(
    container: InputContainer, stream: VideoStream, packets: Sequence[VideoPacket], key: int
) -> Iterator[av.VideoFrame] | None:
    """Frames from the packet `key` on; None where seeking ends up behind it."""
    times = [time for time in (packets[key].pts, packets[key].dts) if time is not None]
    try:
        container.seek(min(times), stream=stream)
    except av.FFmpegError:
        return None
    demuxed = container.demux(stream)
    first = next(demuxed)
    place = {packet.pts: k for k, packet in enumerate(packets)}.get(first.pts)
    if place is None or place > key:
        return None
    return _decoded(_with_first(first, demuxed))


def _with_first(first: av.Packet, others: Iterator[av.Packet]) -> Iterator[av.Packet]:
    yield first
    yield from others


def _decoded(packets: Iterator[av.Packet]) -> Iterator[av.VideoFrame]:
    for packet in packets:
        try:
            frames = packet.decode()
        except av.FFmpegError:
            # Damage beside what is read; a frame that is read would be missed.
            continue
        for frame in frames:
            if isinstance(frame, av.VideoFrame):
                yield frame
