"""Cut one source video into candidate clips, each with its scores or a reason against it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from upath import UPath

from exvideo.clips.manifest import Clip, ClipPiece
from exvideo.clips.read import read_clip
from exvideo.clips.scan import Scan, is_cut, scan
from exvideo.clips.score import Score, score
from exvideo.clips.windows import Window, scenes, spans, spread, stride_for, windows
from exvideo.config import ClipsConfig
from exvideo.receipt import digest_of
from exvideo.sources.manifest import SourceVideo, locate
from exvideo.video.crop import Crop, centre_crop
from exvideo.video.decoder import DecodeError, Decoder
from exvideo.world import motion_bucket_id

Scanned = tuple[SourceVideo, Scan]


@dataclass(frozen=True)
class CutVideo:
    """A video's candidates, in order."""

    clips: list[Clip]
    permanent: bool
    """False where the machine may have been at fault, so that another try may give more."""


def cut_video(
    pieces: list[SourceVideo], folder: UPath, config: ClipsConfig, decoder: Decoder
) -> CutVideo:
    """Every candidate clip of one video; `folder` is the source manifest's.

    Clips run over consecutive pieces, but never over a cut, damaged frames, or a missing or an
    unreadable piece. Each damaged stretch is a rejected candidate that names its frames.
    """
    scanned, unusable = [], []
    permanent = True
    for piece in sorted(pieces, key=lambda piece: piece.piece):
        try:
            seen = _scan(piece, folder, config, decoder)
        except DecodeError as error:
            reason = f"unreadable: {error.reason}"
            unusable.append(_clip([(piece, 0, 0)], config, reason=reason))
            permanent &= error.permanent
        else:
            scanned.append((piece, seen))
            for found in seen.damage:
                stretch = (piece, found.start, found.end - found.start)
                unusable.append(_clip([stretch], config, reason=f"damaged: {found}"))
    clips: list[Clip] = []
    for run in _runs(scanned):
        for candidate in _candidates(run, config):
            try:
                clips.append(_judged(candidate, folder, config, decoder))
            except DecodeError as error:
                clips.append(_rejected(candidate, f"unreadable: {error.reason}"))
                permanent &= error.permanent
    return CutVideo(_thinned(clips, config.max_clips_per_video) + unusable, permanent)


def _scan(piece: SourceVideo, folder: UPath, config: ClipsConfig, decoder: Decoder) -> Scan:
    path = locate(folder, piece.path)
    *_, whole = decoder.stream(scan, path, config.scene_threshold)
    return whole


def _runs(scanned: list[Scanned]) -> list[list[Scanned]]:
    """Pieces that follow each other without a gap and have the same format."""
    runs: list[list[Scanned]] = []
    for piece, seen in scanned:
        if runs:
            before, seen_before = runs[-1][-1]
            follows = piece.piece == before.piece + 1
            if follows and _format(seen) == _format(seen_before):
                runs[-1].append((piece, seen))
                continue
        runs.append([(piece, seen)])
    return runs


def _format(seen: Scan) -> tuple[float, int, int]:
    return seen.fps, seen.height, seen.width


def _candidates(run: list[Scanned], config: ClipsConfig) -> Iterator[Clip]:
    """Windows of the preset's length; a scene too short for one is a rejected candidate itself."""
    lengths = [seen.num_frames for _, seen in run]
    whole = Window(0, sum(lengths), 1)
    seen = run[0][1]
    crop = centre_crop(seen.height, seen.width, config.height, config.width)
    fps = config.assumed_fps or seen.fps
    if not (math.isfinite(fps) and fps > 0):
        reason = f"no frame rate: the container says {fps}; clips.assumed_fps would override it"
        yield _window_clip(run, whole, crop, None, config, reason)
        return
    if crop.height < config.height or crop.width < config.width:
        reason = f"too small: {seen.height}x{seen.width} px"
        yield _window_clip(run, whole, crop, fps, config, reason)
        return
    stride = stride_for(fps, config.fps)
    reach = (config.num_frames - 1) * stride + 1
    damage = _damage(run)
    cuts = _cuts(run, config.scene_threshold) + [edge for edges in damage for edge in edges]
    for start, end in scenes(whole.num_frames, cuts):
        if any(first <= start < behind for first, behind in damage):
            continue
        found = windows(start, end, config.num_frames, stride)
        for window in found:
            yield _window_clip(run, window, crop, fps, config)
        if not found:
            reason = f"too short: {end - start} of {reach} frames without a cut"
            yield _window_clip(run, Window(start, end - start, 1), crop, fps, config, reason)


def _cuts(run: list[Scanned], threshold: float) -> list[int]:
    """Cuts inside the pieces and across their seams, counted from the run's first frame."""
    cuts = list(run[0][1].cuts)
    offset = 0
    for (_, before), (_, after) in pairwise(run):
        offset += before.num_frames
        if is_cut(before.last, after.first, threshold):
            cuts.append(offset)
        cuts += [offset + cut for cut in after.cuts]
    return cuts


def _damage(run: list[Scanned]) -> list[tuple[int, int]]:
    """Damaged spans [start, end), counted from the run's first frame."""
    spans, offset = [], 0
    for _, seen in run:
        spans += [(offset + found.start, offset + found.end) for found in seen.damage]
        offset += seen.num_frames
    return spans


def _window_clip(
    run: list[Scanned],
    window: Window,
    crop: Crop,
    fps: float | None,
    config: ClipsConfig,
    reason: str | None = None,
) -> Clip:
    touched = spans(window, [seen.num_frames for _, seen in run])
    pieces = [(run[piece][0], first, count) for piece, first, count in touched]
    return _clip(pieces, config, window.stride, crop, fps, reason)


def _clip(
    pieces: list[tuple[SourceVideo, int, int]],
    config: ClipsConfig,
    stride: int = 1,
    crop: Crop | None = None,
    fps: float | None = None,
    reason: str | None = None,
) -> Clip:
    crop = crop or Crop(0, 0, 0, 0)
    content = [[video.sha256, first, count] for video, first, count in pieces]
    size = [config.height, config.width]
    where = [crop.top, crop.left, crop.height, crop.width]
    return Clip(
        clip_id=digest_of([content, stride, where, size])[:16],
        video_id=pieces[0][0].video_id,
        source=pieces[0][0].source,
        status="rejected" if reason else "kept",
        reason=reason,
        pieces=[
            ClipPiece(path=v.path, sha256=v.sha256, start_frame=first, num_frames=count)
            for v, first, count in pieces
        ],
        stride=stride,
        fps=fps / stride if fps else None,
        crop_top=crop.top,
        crop_left=crop.left,
        crop_height=crop.height,
        crop_width=crop.width,
        num_frames=sum(count for _, _, count in pieces),
        height=config.height,
        width=config.width,
    )


def _judged(clip: Clip, folder: UPath, config: ClipsConfig, decoder: Decoder) -> Clip:
    if clip.status == "rejected":
        return clip
    found = score(read_clip(clip, folder, decoder))
    speed = found.flow_speed
    scored = clip.model_copy(
        update={
            "motion_score": found.motion,
            "contrast": found.contrast,
            "flow_speed": speed,
            "motion_bucket_id": motion_bucket_id(speed, min(config.height, config.width)),
        }
    )
    reason = _reason_against(found, config)
    return _rejected(scored, reason) if reason else scored


def _reason_against(found: Score, config: ClipsConfig) -> str | None:
    if found.contrast < config.min_contrast:
        return f"blank: contrast {found.contrast:.4f} is below {config.min_contrast:g}"
    if found.motion < config.min_motion:
        return f"still: motion {found.motion:.4f} is below {config.min_motion:g}"
    return None


def _thinned(clips: list[Clip], limit: int) -> list[Clip]:
    """At most `limit` of the good ones, evenly spread over the video."""
    good = [index for index, clip in enumerate(clips) if clip.status == "kept"]
    chosen = {good[position] for position in spread(len(good), limit)}
    reason = f"surplus: the video has {len(good)} good clips, {limit} are taken"
    return [
        _rejected(clip, reason) if clip.status == "kept" and index not in chosen else clip
        for index, clip in enumerate(clips)
    ]


def _rejected(clip: Clip, reason: str) -> Clip:
    return clip.model_copy(update={"status": "rejected", "reason": reason})
