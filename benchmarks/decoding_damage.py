"""Damage in the middle of files: how much of it the scan of stage 2 notices.

python -m benchmarks.decoding_damage [--files 20] [--codecs libx264 libvpx-vp9]

Every file is a short clip of whose middle third 1, 8 or 64 bits are flipped or 4 KiB are zeroed,
in turn. What the scan calls sound is read as training reads it and compared with the undamaged
file: "kept below 40 dB" counts the files with a frame among them that is worse, for each of the
four. The last two columns are of an undamaged clip of 1280x720: the processor time of a scan, and
by how much it raises its process's peak memory.
"""

import argparse
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np

from exvideo.clips.scan import Scan, scan
from exvideo.video.crop import Crop
from exvideo.video.decoder import DecodeError, Decoder
from exvideo.video.frames import cropped_frames
from exvideo.video.packets import frame_numbers, opened, video_packets
from exvideo.world import TRAIN_PHOTOGRAPHS, random_spec, render_clip

FPS, FRAMES, HEIGHT, WIDTH = 24, 120, 240, 320

FLIPPED_BITS = (1, 8, 64, 0)
"""Where none are flipped, a block is zeroed."""

BLOCK_BYTES = 4096

HD_FRAMES, HD_HEIGHT, HD_WIDTH = 48, 720, 1280

THRESHOLD = 27.0
"""Of scene cuts; the clip has none."""

SHORTEST = 16
"""Frames of a sound stretch that would give a clip."""

FAITHFUL_DB = 40.0

LIMIT_S = 60.0

WHOLE = Crop(0, 0, HEIGHT, WIDTH)

Expected = dict[int, np.ndarray]
"""The undamaged file's frames by their times."""


@dataclass(frozen=True)
class Encoding:
    """An encoder of FFmpeg and how it is used."""

    container: str
    options: dict[str, str]
    pixels: str = "yuv420p"


ENCODINGS = {
    "libx264": Encoding("mp4", {"g": "24", "bf": "2"}),
    "libx265": Encoding("mp4", {"x265-params": "log-level=none:keyint=24:pools=none"}),
    "libvpx-vp9": Encoding("webm", {"g": "24", "deadline": "realtime", "cpu-used": "8"}),
    "mpeg4": Encoding("mp4", {"g": "24", "b": "2M"}),
    "mjpeg": Encoding("avi", {"b": "8M"}, "yuvj420p"),
}


@dataclass
class Outcome:
    """Counts over a codec's files."""

    files: int = 0
    unreadable: int = 0
    damaged: int = 0
    harmless: int = 0
    """Called sound, and so they are: no frame shows the flipped bits."""
    below: Counter[int] = field(default_factory=Counter)
    """Files with a kept frame below 40 dB, by how many bits are flipped."""
    stretches: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description="How much damage the scan notices.")
    parser.add_argument("--files", type=int, default=20, help="damaged files for each codec")
    parser.add_argument("--codecs", nargs="+", choices=ENCODINGS, default=list(ENCODINGS))
    options = parser.parse_args()
    spec = random_spec(7, TRAIN_PHOTOGRAPHS, fps=FPS)
    frames = render_clip(spec, FRAMES, HEIGHT, WIDTH, fps=FPS).frames
    print(
        f"{'codec':12}{'files':>6}{'unreadable':>12}{'damaged':>9}{'harmless':>10}"
        f"{'kept below 40 dB':>18}{'sound stretches':>17}{'720p CPU':>11}{'memory':>9}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for codec in options.codecs:
            if codec in av.codecs_available:
                _row(codec, list(frames), Path(folder), options.files)


def _row(codec: str, frames: Sequence[np.ndarray], folder: Path, files: int) -> None:
    clean = folder / f"{codec}.{ENCODINGS[codec].container}"
    write(clean, codec, frames)
    large = clean.with_stem(f"{codec}-720p")
    write(large, codec, [cv2.resize(f, (HD_WIDTH, HD_HEIGHT)) for f in frames[:HD_FRAMES]])
    with Decoder(LIMIT_S) as fresh:
        *_, (seconds, growth) = fresh.stream(measured_scan, large)
    outcome = Outcome()
    with Decoder(LIMIT_S) as decoder:
        shown = decoder.stream(cropped_frames, clean, 0, FRAMES, 1, WHOLE, HEIGHT, WIDTH)
        expected = dict(zip(_times(clean), shown, strict=True))
        for seed in range(files):
            path = folder / f"{seed}-{clean.name}"
            bits = FLIPPED_BITS[seed % len(FLIPPED_BITS)]
            path.write_bytes(damaged(clean.read_bytes(), seed, bits))
            judge(path, bits, expected, decoder, outcome)
            path.unlink()
    below = "+".join(str(outcome.below[bits]) for bits in FLIPPED_BITS)
    print(
        f"{codec:12}{outcome.files:>6}{outcome.unreadable:>12}{outcome.damaged:>9}"
        f"{outcome.harmless:>10}{below:>18}{outcome.stretches:>17}"
        f"{seconds / HD_FRAMES * 1e3:>8.2f} ms{growth:>6.0f} MB",
        flush=True,
    )


def write(path: Path, codec: str, frames: Sequence[np.ndarray]) -> None:
    """Encode frames, uint8 [H,W,3] each."""
    encoding = ENCODINGS[codec]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(FPS), options=encoding.options)
        assert isinstance(stream, av.VideoStream)  # noqa: S101
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], encoding.pixels
        for frame in frames:
            rgb = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(stream.encode(rgb.reformat(format=encoding.pixels)))
        container.mux(stream.encode(None))


def damaged(content: bytes, seed: int, bits: int) -> bytes:
    """The middle third with some bits turned round, or a block of zeros."""
    damaged = bytearray(content)
    third = len(content) // 3
    rng = np.random.default_rng(seed)
    if not bits:
        start = int(rng.integers(third, 2 * third))
        damaged[start : start + BLOCK_BYTES] = bytes(BLOCK_BYTES)
    for bit in rng.integers(8 * third, 16 * third, bits):
        damaged[bit // 8] ^= 1 << (bit % 8)
    return bytes(damaged)


def judge(path: Path, bits: int, expected: Expected, decoder: Decoder, outcome: Outcome) -> None:
    """Add a damaged file to its codec's counts."""
    outcome.files += 1
    try:
        *_, seen = decoder.stream(scan, path, THRESHOLD)
    except DecodeError:
        outcome.unreadable += 1
        return
    outcome.damaged += bool(seen.damage)
    worst = np.inf
    for start, end in sound_stretches(seen):
        outcome.stretches += end - start >= SHORTEST
        worst = min(worst, _worst_db(path, expected, start, end, decoder))
    if worst < FAITHFUL_DB:
        outcome.below[bits] += 1
    elif not seen.damage:
        outcome.harmless += 1


def sound_stretches(seen: Scan) -> list[tuple[int, int]]:
    """Spans [start, end) between damage."""
    edges = [0, *(edge for d in seen.damage for edge in (d.start, d.end)), seen.num_frames]
    return [(start, end) for start, end in list(pairwise(edges))[::2] if start < end]


def _worst_db(path: Path, expected: Expected, start: int, end: int, decoder: Decoder) -> float:
    """The worst frame's PSNR against the undamaged file's frame of the same time, at 8 bits."""
    worst = np.inf
    try:
        frames = decoder.stream(cropped_frames, path, start, end - start, 1, WHOLE, HEIGHT, WIDTH)
        for time_shown, frame in zip(_times(path)[start:], frames, strict=False):
            if time_shown not in expected:
                return 0.0
            error = np.mean((frame.astype(np.float64) - expected[time_shown]) ** 2)
            worst = min(worst, np.inf if error == 0 else 10 * np.log10(255**2 / error))
    except DecodeError:
        pass  # refused by name when it is read
    return float(worst)


def _times(path: Path) -> list[int]:
    """When each frame is shown, in the order of their numbers."""
    with opened(path) as (container, stream):
        packets = video_packets(container, stream)
    times = [packet.pts for packet in packets if packet.pts is not None]
    # Where times repeat, frames are numbered as they come.
    return sorted(times) if frame_numbers(packets) else times


def measured_scan(path: Path) -> Iterator[tuple[float, float]]:
    """Seconds of processor time that a scan takes, and the growth of its peak memory, MB."""
    before, started = _peak_mb(), time.process_time()
    for _ in scan(path, THRESHOLD):
        pass
    yield time.process_time() - started, _peak_mb() - before


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
