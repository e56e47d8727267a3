"""The windows over one source video that may become clips, or a reason why there are none."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

from upath import UPath

from exvideo.clips.cuts import change_between, is_cut
from exvideo.clips.manifest import Clip, ClipPiece
from exvideo.clips.scan import Scan, scan
from exvideo.clips.shapes import of_nearest_aspect
from exvideo.clips.transnet import THUMBNAIL, TransNet
from exvideo.clips.windows import Window, scenes, spans, stride_for, windows
from exvideo.config import ClipsConfig, ClipShape
from exvideo.receipt import digest_of
from exvideo.sources.manifest import SourceVideo, locate
from exvideo.video.crop import Crop, centre_crop, overlap
from exvideo.video.decoder import DecodeError, Decoder

Scanned = tuple[SourceVideo, Scan]


@dataclass(frozen=True)
class Candidates:
    """A video's windows, and what of it is of no use."""

    windows: list[Clip]
    """In order; rejected where the scene is too short or the picture too small."""
    unusable: list[Clip]
    """Unreadable files, damaged stretches and soft cuts, each with its reason."""
    permanent: bool
    """False where the machine may have been at fault, so that another try may give more."""


def candidates(
    pieces: list[SourceVideo],
    folder: UPath,
    config: ClipsConfig,
    decoder: Decoder,
    transnet: TransNet,
) -> Candidates:
    """Every candidate clip of one video; `folder` is the source manifest's.

    Clips run over consecutive pieces, but never over a cut, damaged frames, or a missing or an
    unreadable piece. Each damaged stretch and each soft cut is a rejected candidate that names
    its frames. Borders around the picture are cropped away.
    """
    scanned, unusable = [], []
    permanent = True
    for piece in sorted(pieces, key=lambda piece: piece.piece):
        try:
            seen = _scan(piece, folder, config, decoder, transnet)
        except DecodeError as error:
            reason = f"unreadable: {error.reason}"
            unusable.append(_clip([(piece, 0, 0)], config.shapes[0], reason=reason))
            permanent &= error.permanent
        else:
            scanned.append((piece, seen))
            for found in seen.damage:
                stretch = (piece, found.start, found.end - found.start)
                reason = f"damaged: {found}"
                unusable.append(_clip([stretch], config.shapes[0], reason=reason))
            for start, end in seen.soft_cuts:
                reason = f"soft cut: frames {start} to {end - 1} by {config.scene_detector}"
                stretch = (piece, start, end - start)
                unusable.append(_clip([stretch], config.shapes[0], reason=reason))
    found_windows = [clip for run in _runs(scanned) for clip in windows_of(run, config)]
    return Candidates(found_windows, unusable, permanent)


def _scan(
    piece: SourceVideo, folder: UPath, config: ClipsConfig, decoder: Decoder, transnet: TransNet
) -> Scan:
    path = locate(folder, piece.path)
    thumbnail = THUMBNAIL if config.scene_detector == "transnetv2" else None
    *_, whole = decoder.stream(scan, path, config.scene_threshold, thumbnail)
    if whole.thumbnails is not None:
        whole.cuts, whole.soft_cuts = transnet.transitions(whole.thumbnails)
        whole.thumbnails = None
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
    return seen.fps, seen.outline.height, seen.outline.width


def windows_of(run: list[Scanned], config: ClipsConfig) -> Iterator[Clip]:
    """Windows over consecutive files, of the preset's lengths: in each scene the longest that fits.

    A scene too short for any is a rejected candidate itself.
    """
    whole = Window(0, sum(seen.num_frames for _, seen in run), 1)
    seen = run[0][1]
    picture = reduce(overlap, [seen.outline.picture for _, seen in run])
    shapes = of_nearest_aspect(config.shapes, picture)
    least = shapes[-1]
    crop = centre_crop(picture, least.height, least.width)
    fps = config.assumed_fps or seen.fps
    if not (math.isfinite(fps) and fps > 0):
        reason = f"no frame rate: the container says {fps}; clips.assumed_fps would override it"
        yield _window_clip(run, whole, crop, None, least, reason)
        return
    shapes = [it for it in shapes if it.height <= crop.height and it.width <= crop.width]
    if not shapes:
        height, width = seen.outline.height, seen.outline.width
        borders = (picture.height, picture.width) != (height, width)
        within = f" within borders, of {height}x{width}" if borders else ""
        reason = f"too small: {picture.height}x{picture.width} px{within}"
        yield _window_clip(run, whole, crop, fps, least, reason)
        return
    stride = stride_for(fps, config.fps)
    reach = {shape: (shape.num_frames - 1) * stride + 1 for shape in shapes}
    shortest = min(shapes, key=lambda it: it.num_frames)
    useless = _useless(run)
    cuts = _cuts(run, config.scene_threshold) + [edge for edges in useless for edge in edges]
    for start, end in scenes(whole.num_frames, cuts):
        if any(first <= start < behind for first, behind in useless):
            continue
        shape = next((it for it in shapes if reach[it] <= end - start), None)
        if shape is None:
            reason = f"too short: {end - start} of {reach[shortest]} frames without a cut"
            window = Window(start, end - start, 1)
            yield _window_clip(run, window, crop, fps, shortest, reason)
            continue
        crop = centre_crop(picture, shape.height, shape.width)
        for window in windows(start, end, shape.num_frames, stride):
            yield _window_clip(run, window, crop, fps, shape)


def _cuts(run: list[Scanned], threshold: float) -> list[int]:
    """Cuts inside the pieces and across their seams, counted from the run's first frame."""
    cuts = list(run[0][1].cuts)
    offset = 0
    for (_, before), (_, after) in pairwise(run):
        offset += before.num_frames
        around = before.outline.last_changes + after.outline.first_changes
        if is_cut(change_between(before.outline.last, after.outline.first), around, threshold):
            cuts.append(offset)
        cuts += [offset + cut for cut in after.cuts]
    return cuts


def _useless(run: list[Scanned]) -> list[tuple[int, int]]:
    """Damage and soft cuts, spans [start, end) counted from the run's first frame."""
    spans, offset = [], 0
    for _, seen in run:
        found = [(damage.start, damage.end) for damage in seen.damage] + seen.soft_cuts
        spans += [(offset + start, offset + end) for start, end in found]
        offset += seen.num_frames
    return spans


def _window_clip(
    run: list[Scanned],
    window: Window,
    crop: Crop,
    fps: float | None,
    shape: ClipShape,
    reason: str | None = None,
) -> Clip:
    touched = spans(window, [seen.num_frames for _, seen in run])
    pieces = [(run[piece][0], first, count) for piece, first, count in touched]
    return _clip(pieces, shape, window.stride, crop, fps, reason)


def _clip(
    pieces: list[tuple[SourceVideo, int, int]],
    shape: ClipShape,
    stride: int = 1,
    crop: Crop | None = None,
    fps: float | None = None,
    reason: str | None = None,
) -> Clip:
    crop = crop or Crop(0, 0, 0, 0)
    content = [[video.sha256, first, count] for video, first, count in pieces]
    size = [shape.height, shape.width]
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
        height=shape.height,
        width=shape.width,
    )
