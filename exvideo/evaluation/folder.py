"""Measure any folder of videos, whoever has made them, and one against others."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from upath import UPath

from exvideo.errors import InputError
from exvideo.evaluation import metrics
from exvideo.evaluation.flow import Raft, clip_flow
from exvideo.evaluation.intervals import differences
from exvideo.evaluation.networks import NO_NETWORKS, Networks
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
    speed: list[float] = []
    """Mean flow magnitude a pair of frames, [T-1]; empty in numbers of earlier versions."""
    shake: list[float] = []
    """Mean second difference of the flow, [T-3]; the first belongs to the second pair."""
    contrast: list[float] = []
    """Standard deviation of each frame's pixels in [0, 1], [T]."""
    features: list[float] = []
    """I3D's, 400, for the Fréchet video distance; empty without I3D."""


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
    unavailable: dict[str, str] = {}
    """Metrics that were not measured, each with the reason."""
    against: list["Comparison"] = []
    """With what it was compared."""

    def forms(self) -> list[tuple[int, float, str]]:
        """The videos' numbers of frames, frames a second and sizes WxH, each once."""
        return sorted({(it.num_frames, it.fps, f"{it.width}x{it.height}") for it in self.videos})


class Comparison(_Record):
    """What a folder has more than another, over the videos that both have."""

    other: FolderNumbers
    pairs: int
    """Videos of equal names, lengths and rates."""
    left_out: list[str]
    """Why other videos of equal names don't compare, or that there are none; a sentence each."""
    differences: dict[Metric, Estimate]
    """Empty without pairs."""
    fvd: float | None = None
    """Fréchet video distance between all videos of both, which need no names in common; None
    without I3D, for fewer than two videos, and where lengths or rates differ."""


def measure_folder(
    folder: str,
    files: Sequence[Path],
    raft: Raft,
    progress: Progress,
    *,
    num_frames: int,
    period: int | None,
    timeout_s: float,
    networks: Networks = NO_NETWORKS,
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
            found = _measured(path, raft, decoder, num_frames, period, networks)
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
        protocol=Protocol.of(raft, networks=networks),
        videos=videos,
        unmeasured=unmeasured,
        summary=summary,
        unavailable=networks.unavailable(),
    )


def compare(one: FolderNumbers, other: FolderNumbers) -> Comparison:
    """`one` less `other`, over the videos that have the same name in both.

    A pair that differs in what makes scores comparable, the number of frames and their rate, is
    left out and named.

    Raises `InputError` where the two were measured by other protocols.
    """
    if differing := one.protocol.differences(other.protocol):
        raise InputError(
            f"{one.folder} and {other.folder} were measured with {'; '.join(differing)}: such "
            "numbers don't compare"
        )
    others = {it.name: it for it in other.videos}
    named = [(it, others[it.name]) for it in one.videos if it.name in others]
    pairs = [(a, b) for a, b in named if (a.num_frames, a.fps) == (b.num_frames, b.fps)]
    left_out = [
        f"{a.name} has {a.num_frames} frames at {a.fps:g} a second in {one.folder} and "
        f"{b.num_frames} at {b.fps:g} in {other.folder}: such scores don't compare"
        for a, b in named
        if (a.num_frames, a.fps) != (b.num_frames, b.fps)
    ]
    if not named:
        left_out = [f"no video in {one.folder} has the name of one in {other.folder}"]
    return Comparison(
        other=other,
        pairs=len(pairs),
        left_out=left_out,
        differences=_differences(pairs) if pairs else {},
        fvd=_video_distance(one, other),
    )


def _video_distance(one: FolderNumbers, other: FolderNumbers) -> float | None:
    """As `Comparison.fvd` has it."""
    both = [*one.videos, *other.videos]
    if len({(it.num_frames, it.fps) for it in both}) > 1 or not all(it.features for it in both):
        return None
    a, b = (np.array([it.features for it in folder.videos]) for folder in (one, other))
    distance = metrics.frechet_distance(a, b)
    return distance if np.isfinite(distance) else None


def _differences(pairs: Sequence[tuple[VideoNumbers, VideoNumbers]]) -> dict[Metric, Estimate]:
    ones, others = [a for a, _ in pairs], [b for _, b in pairs]
    return {
        name: estimate(differences(_values(ones, name), _values(others, name)))
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


def read_video(path: Path, decoder: Decoder, num_frames: int) -> tuple[np.ndarray, float]:
    """A file's first frames, uint8 [T, H, W, 3], and their rate. Raises `DecodeError`."""
    frames, fps = [], 0.0
    for rate, frame in decoder.stream(whole_clip, path, num_frames):
        fps = rate
        if frame is not None:
            frames.append(frame)
    return (np.stack(frames) if frames else np.empty((0, 0, 0, 3), np.uint8)), fps


def _refuse_namesakes(files: Sequence[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in files:
        first = seen.setdefault(path.stem, path)
        if first is not path:
            raise InputError(
                f"{first} and {path} have one name: measure their folders apart, or with --models"
            )


def _measured(
    path: Path,
    raft: Raft,
    decoder: Decoder,
    num_frames: int,
    period: int | None,
    networks: Networks,
) -> VideoNumbers | Unmeasured:
    try:
        clip, fps = read_video(path, decoder, num_frames)
    except DecodeError as error:
        return Unmeasured(name=path.name, reason=error.reason)
    if len(clip) < MIN_FRAMES:
        reason = f"{len(clip)} frames, {MIN_FRAMES} are needed"
        return Unmeasured(name=path.name, reason=reason)
    if not (np.isfinite(fps) and fps > 0):
        return Unmeasured(name=path.name, reason=f"no frame rate: the container says {fps}")
    flow = clip_flow(raft, clip, fps)
    features = networks.video_features(clip)
    return VideoNumbers(
        name=path.stem,
        num_frames=len(clip),
        fps=round(fps, 3),
        height=clip.shape[1],
        width=clip.shape[2],
        values=clip_values(clip, flow, None, period, networks),
        speed=metrics.flow_speed(flow.raft).tolist(),
        shake=metrics.flow_shake(flow.raft).tolist(),
        contrast=metrics.frame_contrast(clip).tolist(),
        features=[] if features is None else features.tolist(),
    )


def _values(videos: Sequence[VideoNumbers], name: Metric) -> Mapping[tuple[str, int], float]:
    values = {it.name: it.values[name] for it in videos}
    return {(video, 0): value for video, value in values.items() if value is not None}
