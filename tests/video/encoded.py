"""Small videos in many codecs and containers, and damage to them."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from exvideo.world import random_spec, render_clip

FRAMES, HEIGHT, WIDTH = 60, 96, 128

MILLISECONDS = Fraction(1, 1000)

OPEN_GROUPS = {"x264-params": "keyint=12:open-gop=1:bframes=3:b-adapt=0:scenecut=0"}

QUIET = "log-level=none:pools=none:keyint=12"

KINDS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "h264": ("v.mp4", "libx264", "yuv420p", {"g": "12", "bf": "2"}),
    "h264 in mkv": ("v.mkv", "libx264", "yuv420p", {"g": "12", "bf": "2"}),
    "h264 in ts": ("v.ts", "libx264", "yuv420p", {"g": "12", "bf": "2"}),
    "h264 open": ("v.mp4", "libx264", "yuv420p", OPEN_GROUPS),
    "h264 open in mkv": ("v.mkv", "libx264", "yuv420p", OPEN_GROUPS),
    "h264 4:4:4": ("v.mp4", "libx264", "yuv444p", {"g": "12"}),
    "hevc": ("v.mp4", "libx265", "yuv420p", {"x265-params": QUIET + ":open-gop=0:bframes=3"}),
    "hevc open": ("v.mp4", "libx265", "yuv420p", {"x265-params": QUIET + ":bframes=3"}),
    "vp9": ("v.webm", "libvpx-vp9", "yuv420p", {"g": "12", "cpu-used": "8"}),
    "vp9 in mp4": ("v.mp4", "libvpx-vp9", "yuv420p", {"g": "12", "cpu-used": "8"}),
    "mpeg4": ("v.mp4", "mpeg4", "yuv420p", {"g": "12", "bf": "2"}),
    "mpeg4 in avi": ("v.avi", "mpeg4", "yuv420p", {"g": "12"}),
    "mpeg2 in mpg": ("v.mpg", "mpeg2video", "yuv420p", {"g": "12", "bf": "2"}),
    "mjpeg": ("v.avi", "mjpeg", "yuvj420p", {}),
    "prores": ("v.mov", "prores_ks", "yuv422p10le", {}),
}
"""File name, encoder, pixel format and options; a key frame every twelve frames, mostly."""


def moving(height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """A photograph under a moving camera, uint8 [60,H,W,3]."""
    spec = random_spec(3, ("astronaut",), fps=24, speed=0.01)
    return render_clip(spec, FRAMES, height, width, fps=24).frames


def encode(
    folder: Path, kind: str, frames: NDArray[np.uint8], times_ms: list[int] | None = None
) -> Path:
    """Write a video of one of `KINDS`; frames are shown at the given times, or 24 a second."""
    name, codec, pixels, options = KINDS[kind]
    unit = Fraction(1, 24) if times_ms is None else MILLISECONDS
    path = folder / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=24, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pixels
        stream.codec_context.time_base = unit
        stream.codec_context.thread_count = 1
        for number, frame in enumerate(frames):
            rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            shown = rgb.reformat(format=pixels)
            shown.pts = times_ms[number] if times_ms else number
            shown.time_base = unit
            container.mux(stream.encode(shown))
        container.mux(stream.encode(None))
    return path


def packet_span(path: Path, frame: int) -> tuple[int, int]:
    """Where the bytes of a frame lie in its file: from, to."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    packets.sort(key=lambda packet: packet.pts or 0)
    place = packets[frame].pos
    assert place is not None
    return place, place + packets[frame].size


def spoil(path: Path, frame: int) -> None:
    """Overwrite the second half of a frame's bytes with noise."""
    start, end = packet_span(path, frame)
    content = bytearray(path.read_bytes())
    half = (start + end) // 2
    content[half:end] = np.random.default_rng(frame).bytes(end - half)
    path.write_bytes(content)


def turned(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Make an MP4 ask for its frames to be shown turned, by the matrix a b c d of its track."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 40
    values = [matrix[0], matrix[1], 0, matrix[2], matrix[3], 0, 0, 0, 1]
    units = [1 << 16] * 8 + [1 << 30]
    for k, (value, unit) in enumerate(zip(values, units, strict=True)):
        content[place + 4 * k : place + 4 * k + 4] = (value * unit).to_bytes(4, "big", signed=True)
    path.write_bytes(content)
