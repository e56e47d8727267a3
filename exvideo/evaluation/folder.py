"""Measure any folder of videos, whoever has made them, and one against another."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from upath import UPath

from exvideo.errors import InputError
from exvideo.evaluation.flow import Raft, clip_flow
from exvideo.evaluation.intervals import differences
from exvideo.evaluation.numbers import DEFINITIONS, Estimate, Metric, clip_values, estimate
from exvideo.evaluation.protocol import Protocol
from exvideo.progress import Progress
from exvideo.receipt import write_atomically
from exvideo.video.decoder import DecodeError, Decoder
from exvideo.video.whole_clip import whole_clip

MIN_FRAMES = 4
"""The flow's second difference takes three pairs."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VideoNumbers(_Record):
    """One video's."""

    name: str
    """The file's, without its ending: what pairs it with another folder's."""
    num_frames: int
    fps: float
    height: int
    width: int
    values: dict[Metric, float | None]
    """None where a metric is undefined."""


class Unmeasured(_Record):
    """A file that could not be measured."""

    name: str
    reason: str


class FolderNumbers(_Record):
    """A folder's videos, and their means."""

    folder: str
    protocol: Protocol
    definitions: dict[Metric, str] = DEFINITIONS
    videos: list[VideoNumbers]
    unmeasured: list[Unmeasured]
    summary: dict[Metric, Estimate]


def measure_folder(
    folder: str,
    files: Sequence[Path],
    raft: Raft,
    progress: Progress,
    *,
    num_frames: int,
    period: int | None,
    timeout_s: float,
) -> FolderNumbers:
    """Measure each file's first `num_frames` frames; what can't be measured is named.

    `period` is that of the positions that a model's table starts from, for `repetition`.

    Raises `InputError` where two files have one name, or none can be measured.
    """
    _refuse_namesakes(files)
    videos: list[VideoNumbers] = []
    unmeasured: list[Unmeasured] = []
    with Decoder(timeout_s) as decoder:
        for done, path in enumerate(files):
            progress.update(done, len(files), "videos measured")
            found = _measured(path, raft, decoder, num_frames, period)
            if isinstance(found, VideoNumbers):
                videos.append(found)
            else:
                unmeasured.append(found)
    progress.update(len(files), len(files), "videos measured")
    if not videos:
        reasons = "; ".join(f"{it.name}: {it.reason}" for it in unmeasured[:3])
        raise InputError(f"none of {len(files)} videos in {folder} can be measured ({reasons})")
    summary = {name: estimate(_values(videos, name)) for name in DEFINITIONS}
    return FolderNumbers(
        folder=folder,
        protocol=Protocol.of(raft),
        videos=videos,
        unmeasured=unmeasured,
        summary=summary,
    )


def compare(one: FolderNumbers, other: FolderNumbers) -> dict[Metric, Estimate]:
    """`one` less `other`, over the videos that have the same name in both.

    Raises `InputError` where the two were measured by other protocols, where no name is the same,
    or where a pair differs in what makes scores comparable: the number of frames and their rate.
    """
    if differing := one.protocol.differences(other.protocol):
        raise InputError(
            f"{one.folder} and {other.folder} were measured with {'; '.join(differing)}: such "
            "numbers don't compare"
        )
    others = {it.name: it for it in other.videos}
    pairs = [(it, others[it.name]) for it in one.videos if it.name in others]
    if not pairs:
        raise InputError(f"no video in {one.folder} has the name of one in {other.folder}")
    for left, right in pairs:
        if (left.num_frames, left.fps) != (right.num_frames, right.fps):
            raise InputError(
                f"{left.name} has {left.num_frames} frames at {left.fps:g} a second in "
                f"{one.folder} and {right.num_frames} at {right.fps:g} in {other.folder}: such "
                "scores don't compare; --frames measures as many of both"
            )
    return {
        name: estimate(
            differences(
                _values([it for it, _ in pairs], name), _values([it for _, it in pairs], name)
            )
        )
        for name in DEFINITIONS
    }


def write_numbers(path: Path, numbers: FolderNumbers) -> None:
    """Write a folder's numbers as JSON."""
    write_atomically(UPath(path), numbers.model_dump_json(indent=1).encode())


def read_numbers(path: Path) -> FolderNumbers:
    """What `write_numbers` has written. Raises `InputError` where it is none of that."""
    try:
        return FolderNumbers.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(f"{path} has no numbers of a folder of videos: {error}") from error


def _refuse_namesakes(files: Sequence[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in files:
        first = seen.setdefault(path.stem, path)
        if first is not path:
            raise InputError(f"{first} and {path} have one name: measure their folders apart")


def _measured(
    path: Path, raft: Raft, decoder: Decoder, num_frames: int, period: int | None
) -> VideoNumbers | Unmeasured:
    frames, fps = [], 0.0
    try:
        for rate, frame in decoder.stream(whole_clip, path, num_frames):
            fps = rate
            if frame is not None:
                frames.append(frame)
    except DecodeError as error:
        return Unmeasured(name=path.name, reason=error.reason)
    if len(frames) < MIN_FRAMES:
        reason = f"{len(frames)} frames, {MIN_FRAMES} are needed"
        return Unmeasured(name=path.name, reason=reason)
    if not (np.isfinite(fps) and fps > 0):
        return Unmeasured(name=path.name, reason=f"no frame rate: the container says {fps}")
    clip = np.stack(frames)
    return VideoNumbers(
        name=path.stem,
        num_frames=len(clip),
        fps=round(fps, 3),
        height=clip.shape[1],
        width=clip.shape[2],
        values=clip_values(clip, clip_flow(raft, clip, fps), None, period),
    )


def _values(videos: Sequence[VideoNumbers], name: Metric) -> Mapping[tuple[str, int], float]:
    values = {it.name: it.values[name] for it in videos}
    return {(video, 0): value for video, value in values.items() if value is not None}
