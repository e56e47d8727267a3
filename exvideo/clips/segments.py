"""A long file in segments, so that several workers look through it at a time.

A file is shared out only where nothing can be lost by it: its container has an index, segments
begin at key frames that nothing before refers to, and each of them gives exactly its frames
without a complaint. At the least doubt the file is looked through as a whole, by `scan`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from av.container import InputContainer
from av.video.stream import VideoStream

from exvideo.clips.cuts import cuts
from exvideo.clips.outline import Outline, outlined
from exvideo.clips.scan import FRAMES_PER_REPORT, Scan
from exvideo.video.at_hand import MOST_BYTES
from exvideo.video.checked import checked_video, promised_packets
from exvideo.video.frames import check_readers_agree, indexed
from exvideo.video.packets import VideoPacket, frame_numbers, opened

SEGMENT_BYTES = MOST_BYTES
"""Of decoded frames, at least. What fits at hand, and is decoded once then, is not shared out."""

MOST_SEGMENTS = 64
"""Of a file, so that what is known of each fits in the memory of who puts them together."""

INDEXED = {"mp4", "matroska"}
"""Containers that lead to a key frame without reading what lies before it."""

UNSHARED = {"mjpeg"}
"""Codecs whose first frame decides how the others are judged."""


@dataclass(frozen=True)
class Segment:
    """Frames of a file, from a key frame on."""

    num_frames: int
    key: VideoPacket
    """Its first packet."""
    next_key: VideoPacket | None
    """The first one of the next segment; None where this is the last."""


@dataclass(frozen=True)
class SegmentScan:
    """What of a segment the scan of its file is put together from."""

    fps: float
    outline: Outline
    is_sound: bool = False
    """Whether each of its frames came out without a complaint; known at the end."""


def segments(path: Path, segment_bytes: int) -> Iterator[list[Segment]]:
    """One list of all of a file's segments, empty where the file is to be looked at as a whole.

    Raises `RuntimeError` and `av.FFmpegError` as `scan` does.
    """
    packets, _ = indexed(path)
    with opened(path) as (container, stream):
        suits = _can_be_shared(container, stream, packets)
        context = stream.codec_context
        frame_bytes = max(1, context.height * context.width * 3 // 2)
    least = max(segment_bytes / frame_bytes, len(packets) / MOST_SEGMENTS)
    starts = _starts(packets, least) if suits else []
    if len(starts) < 2:
        yield []
        return
    check_readers_agree(path)
    yield [_segment(packets, *ends) for ends in pairwise([*starts, len(packets)])]


def look_through(path: Path, segment: Segment) -> Iterator[SegmentScan]:
    """What has been seen so far, every few frames; the last one is of the whole segment.

    Raises `EOFError` where nothing comes out, `av.FFmpegError` where the file cannot be opened.
    """
    so_far = None
    with checked_video(path) as video:
        frames = video.frames_between(segment.key, segment.next_key)
        for count, (_, outline) in enumerate(outlined(frames), 1):
            so_far = so_far or SegmentScan(video.fps, outline)
            if count % FRAMES_PER_REPORT == 0:
                yield so_far
        is_sound = video.is_sound(segment.num_frames)
    if so_far is None:
        raise EOFError("no frame comes out")
    yield SegmentScan(so_far.fps, so_far.outline, is_sound)


def put_together(scans: Sequence[SegmentScan | None], threshold: float) -> Scan | None:
    """The scan of a file from those of all its segments in order; None where one is in doubt."""
    sound = [scan for scan in scans if scan is not None and scan.is_sound]
    sizes = {(scan.outline.height, scan.outline.width) for scan in sound}
    if len(sound) < len(scans) or len(sizes) > 1:
        return None
    outline = sound[0].outline
    for scan in sound[1:]:
        outline.extend(scan.outline)
    return Scan(sound[0].fps, outline, len(outline.changes), cuts(outline.changes, threshold))


def _can_be_shared(
    container: InputContainer, stream: VideoStream, packets: Sequence[VideoPacket]
) -> bool:
    return (
        not INDEXED.isdisjoint(container.format.name.split(","))
        and stream.codec_context.name not in UNSHARED
        and promised_packets(container, stream) <= len(packets)
        and not any(packet.is_hidden or packet.damage for packet in packets)
    )


def _starts(packets: Sequence[VideoPacket], least: float) -> list[int]:
    """The packets that begin a segment, each of `least` frames or more but for the last.

    There is none where frames cannot be told apart by their times.
    """
    starts: list[int] = []
    before = -1
    for place, number in enumerate(frame_numbers(packets) or []):
        # Closed: what has been decoded so far is what is shown before, and nothing else.
        closed = packets[place].is_key and number == place == before + 1
        if closed and (place - starts[-1] >= least if starts else place == 0):
            starts.append(place)
        before = max(before, number)
    return starts


def _segment(packets: Sequence[VideoPacket], start: int, end: int) -> Segment:
    next_key = packets[end] if end < len(packets) else None
    return Segment(end - start, packets[start], next_key)
