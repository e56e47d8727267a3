"""Decode a file from end to end, so that damage is noticed and not only concealed.

FFmpeg's decoders go on over most damage and invent the missing pixels. What they say about it is
caught where it is logged, by the level that they give it: no message's wording plays a part.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import cast

import av
import av.logging
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from exvideo.video.damage import Damage, damaged_stretches, merged
from exvideo.video.jpeg import jpeg_complaint
from exvideo.video.packets import VideoPacket, described, frame_numbers, opened, reordering
from exvideo.video.rgb import upright_size

DETECTION = {"err_detect": "crccheck+bitstream+buffer+careful"}
"""Checksums and the bitstream's rules. `explode` would make decoders stop at what they report
anyway, and cost sound frames beside it."""

WITNESSES = {"vp9": "libvpx-vp9"}
"""Decoders that notice far more damage than FFmpeg's own and decode beside it; what they give is
dropped, as it lacks what the container says of a frame."""

PROMPT = {"h264", "vp9"}
"""Codecs whose damage is noticed in the frame that has it; others' may be overlooked for some."""

OVERLOOKING = {"hevc", "mjpeg"}
"""Codecs whose decoders notice so little that damage in one place casts doubt on all others; what
is left of a file that merely ends early is not in doubt."""

LogRecord = tuple[int, str, str]
"""Level, from where, and the message."""


@dataclass(frozen=True)
class Verdict:
    """What is known of a file that has been decoded to its end."""

    num_frames: int
    """What the file promises, or holds where that is more."""
    damage: list[Damage]
    """In order, none touching another."""
    number_of: dict[int | None, int] | None
    """Frames' numbers by their times; None where frames are counted as they come."""

    def number(self, place: int, pts: int | None) -> int:
        """That of the frame which came out as the `place`-th at the time `pts`."""
        return place if self.number_of is None else self.number_of.get(pts, place)


class CheckedVideo:
    """One pass over a file's frames that remembers what was wrong with which."""

    def __init__(
        self, container: InputContainer, stream: VideoStream, log: list[LogRecord]
    ) -> None:
        """`log` is where FFmpeg's complaints arrive."""
        self._container, self._stream, self._log = container, stream, log
        stream.codec_context.options = DETECTION
        self._witness = _witness(stream)
        self._pictures_are_plain = stream.codec_context.name == "mjpeg"
        self._packets: list[VideoPacket] = []
        self._decoded: list[int | None] = []
        self._spoilt: dict[int | None, str] = {}
        self._size: tuple[int, int] | None = None
        self._counted_before_damage: int | None = None
        self._ending: str | None = None

    @property
    def fps(self) -> float:
        """What the container says; 0 where it says nothing."""
        return float(self._stream.average_rate or 0)

    def frames(self) -> Iterator[av.VideoFrame]:
        """Every frame that comes out, in the order of showing, damaged or not."""
        return self._frames(self._container.demux(self._stream))

    def frames_between(
        self, key: VideoPacket, next_key: VideoPacket | None
    ) -> Iterator[av.VideoFrame]:
        """Those from one key frame on to another one or to the file's end.

        Nothing from `key` on may refer to what is before it.
        """
        self._container.seek(
            min(it for it in (key.pts, key.dts) if it is not None), stream=self._stream
        )
        return self._frames(self._packets_between(key, next_key))

    def _packets_between(
        self, key: VideoPacket, next_key: VideoPacket | None
    ) -> Iterator[av.Packet]:
        packets = self._container.demux(self._stream)
        from_key = dropwhile(lambda it: it.pts != key.pts, packets)
        yield from takewhile(lambda it: next_key is None or it.pts != next_key.pts, from_key)
        if next_key is not None:
            last = av.Packet()  # an empty one, at which the decoder gives what it still has
            last.stream = self._stream
            yield last

    def _frames(self, packets: Iterator[av.Packet]) -> Iterator[av.VideoFrame]:
        self._log.clear()  # opening a file decodes its first frames, which come again
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                # What follows cannot be reached: it is missing.
                self._ending = self._complaint() or _reason(error)
                return
            if packet is None:
                return
            complaint = self._complaint()
            # The packet before a gap may have lost its end to it.
            self._blame(complaint)
            if packet.size:
                self._packets.append(described(packet))
                self._packets[-1].is_after_loss = complaint is not None
                self._blame(complaint or self._packets[-1].damage)
            else:
                self._ending = complaint
            yield from self._decode(packet)

    def _decode(self, packet: av.Packet) -> Iterator[av.VideoFrame]:
        if self._pictures_are_plain and packet.size:
            said = jpeg_complaint(bytes(packet))
            # Some cameras write what libjpeg complains of throughout: it says nothing of damage.
            self._pictures_are_plain = said is None or len(self._packets) > 1
            self._blame(said if self._pictures_are_plain else None)
        try:
            if self._witness:
                self._witness.decode(packet)
        except av.FFmpegError as error:
            self._blame(self._complaint() or _reason(error))
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            self._blame(self._complaint() or _reason(error))
            return
        self._blame(self._complaint())
        for frame in frames:
            if not isinstance(frame, av.VideoFrame):
                continue
            self._size = self._size or upright_size(frame)
            if frame.is_corrupt:
                self._spoilt[frame.pts] = "the decoder marks a frame corrupt"
            elif upright_size(frame) != self._size:
                self._spoilt[frame.pts] = "a frame has another size than the first"
            if frame.pts in self._spoilt:
                self._mark()
            self._decoded.append(frame.pts)
            yield frame

    def _blame(self, complaint: str | None) -> None:
        if complaint and self._packets:
            self._packets[-1].damage = self._packets[-1].damage or complaint
            self._mark()

    def _mark(self) -> None:
        if self._counted_before_damage is None:
            self._counted_before_damage = max(0, len(self._decoded) - 1)

    def _complaint(self) -> str | None:
        """The first since the last call."""
        messages = [message for level, _, message in self._log if level <= av.logging.ERROR]
        self._log.clear()
        return " ".join(messages[0].split()) if messages else None

    def is_sound(self, num_frames: int) -> bool:
        """Whether so many frames have come out, each of them without a complaint."""
        times = sorted(packet.pts for packet in self._packets if packet.pts is not None)
        decoded = sorted(pts for pts in self._decoded if pts is not None)
        complaints = [self._ending, *self._spoilt.values(), *(it.damage for it in self._packets)]
        return len(self._packets) == num_frames and times == decoded and not any(complaints)

    def verdict(self) -> Verdict:
        """To be asked for after the last frame."""
        for packet in self._packets:
            packet.damage = packet.damage or self._spoilt.get(packet.pts)
        numbers = frame_numbers(self._packets)
        hidden = sum(packet.is_hidden for packet in self._packets)
        promised = promised_packets(self._container, self._stream) - hidden
        if numbers is None:
            return self._counted(promised)
        count = len(self._packets) - hidden
        number_of = {p.pts: n for p, n in zip(self._packets, numbers, strict=True) if n >= 0}
        decoded = {number_of[pts] for pts in self._decoded if pts in number_of}
        whole_groups = self._stream.codec_context.name not in PROMPT
        damage = damaged_stretches(self._packets, numbers, decoded, whole_groups)
        cut_off = bool(self._ending) or promised > count
        if damage and self._doubtful and not (cut_off and damage[0].end >= count):
            damage = [Damage(0, count, f"{damage[0]}; its decoder overlooks most damage")]
        if cut_off:
            # Frames shown after a missing one may have come before it.
            start = max(0, count - reordering(numbers))
            damage.append(Damage(start, max(promised, count), self._why_it_ends()))
        return Verdict(max(promised, count), merged(damage), number_of)

    @property
    def _doubtful(self) -> bool:
        return self._stream.codec_context.name in OVERLOOKING

    def _counted(self, promised: int) -> Verdict:
        """Where frames cannot be told apart, none behind the first damage has a number."""
        count = len(self._decoded)
        total, start = max(promised, count), self._counted_before_damage
        if start is None and not self._ending and promised <= count:
            return Verdict(total, [], None)
        start = count if start is None else start
        damages = [packet.damage for packet in self._packets if packet.damage]
        reason = damages[0] if damages else self._why_it_ends()
        return Verdict(total, [Damage(start, total, reason)], None)

    def _why_it_ends(self) -> str:
        return "the file ends early" + (f": {self._ending}" if self._ending else "")


def promised_packets(container: InputContainer, stream: VideoStream) -> int:
    """How many there should be; 0 where the container does not tell."""
    if "mp4" in container.format.name:
        # The header's number counts what an edit list leaves out.
        return len(stream.index_entries)
    return stream.frames


@contextmanager
def checked_video(path: Path) -> Iterator[CheckedVideo]:
    """The file, opened for its one pass.

    Raises `av.FFmpegError` where FFmpeg cannot open it, `EOFError` where it holds no video.
    """
    level, skips = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)  # two packets may be damaged in the same way
    try:
        # Some decoders have threads of their own, whatever one asks for.
        with av.logging.Capture(local=False) as log, opened(path) as (container, stream):
            yield CheckedVideo(container, stream, log)
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skips)


def _witness(stream: VideoStream) -> VideoCodecContext | None:
    context = stream.codec_context
    if context.name not in WITNESSES:
        return None
    witness = cast(VideoCodecContext, av.CodecContext.create(WITNESSES[context.name], "r"))
    witness.extradata, witness.thread_count = context.extradata, context.thread_count
    return witness


def _reason(error: av.FFmpegError) -> str:
    return error.strerror or type(error).__name__
