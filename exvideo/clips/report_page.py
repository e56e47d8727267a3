"""One HTML page to look at before thresholds are chosen: it needs no network and no server."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
from upath import UPath

from exvideo.clips.filters.filter import Filter
from exvideo.clips.funnel import funnel_rows
from exvideo.clips.funnel_chart import funnel_chart
from exvideo.clips.manifest import Clip
from exvideo.clips.read import read_clip
from exvideo.clips.verdicts import Thresholds
from exvideo.clips.windows import spread
from exvideo.html_page import data_url, html_page
from exvideo.video.decoder import DecodeError, Decoder

TEMPLATE = Path(__file__).with_name("report_page.html")

KEPT_SHOWN, REJECTED_SHOWN = 24, 12
"""Thumbnails of kept clips, and of each reason's."""

SCORES_SHOWN = 20_000
"""Candidates whose scores the page carries, evenly spread: 2 MB that a browser draws at once."""

THUMBNAIL = 150
"""Px wide."""


def report_page(
    clips: Sequence[Clip],
    filters: Sequence[Filter],
    applied: Thresholds,
    folder: UPath,
    decoder: Decoder,
) -> bytes:
    """The page: funnel, histograms with sliders, thumbnails; `folder` is the source manifest's."""
    all_scored = [clip for clip in clips if clip.scores]
    scored = [all_scored[index] for index in sorted(spread(len(all_scored), SCORES_SHOWN))]
    data = {
        "kept": sum(clip.status == "kept" for clip in clips),
        "candidates": len(clips),
        "scored": len(scored),
        "all_scored": len(all_scored),
        "funnel": funnel_rows(clips),
        "funnel_chart": data_url(funnel_chart(clips, filters), "image/png"),
        "filters": [
            {
                "name": found.name,
                "what": f"({found.fault})",
                "at_least": found.keeps == "at least",
                "threshold": applied[found.name],
                "scores": [_short(clip.scores.get(found.name)) for clip in scored],
            }
            for found in filters
        ],
        "groups": list(_groups(clips, folder, decoder)),
    }
    return html_page(TEMPLATE, data)


def _short(score: float | None) -> float | None:
    return None if score is None else float(f"{score:.6g}")


def _groups(clips: Sequence[Clip], folder: UPath, decoder: Decoder) -> Iterator[dict[str, Any]]:
    kinds = sorted({clip.reason_kind for clip in clips if clip.reason_kind})
    for kind, limit in [(None, KEPT_SHOWN), *((kind, REJECTED_SHOWN) for kind in kinds)]:
        members = [clip for clip in clips if clip.reason_kind == kind]
        shown = [members[index] for index in sorted(spread(len(members), limit))]
        yield {
            "title": f"{kind or 'kept'}: {len(members)}",
            "clips": [
                {"picture": _thumbnail(clip, folder, decoder), "text": _text(clip)}
                for clip in shown
            ],
        }


def _text(clip: Clip) -> str:
    place = f"{clip.pieces[0].path}, frame {clip.pieces[0].start_frame}"
    return f"{place}: {clip.reason}" if clip.reason else place


def _thumbnail(clip: Clip, folder: UPath, decoder: Decoder) -> str:
    """The middle frame as a data URL; none of what was never looked at, or has gone since."""
    if not clip.crop_height or not clip.crop_width:
        return ""
    piece = clip.pieces[len(clip.pieces) // 2]
    middle = piece.start_frame + piece.num_frames // 2 * clip.stride
    one = piece.model_copy(update={"start_frame": middle, "num_frames": 1})
    height = max(1, round(THUMBNAIL * clip.height / clip.width))
    small = {"pieces": [one], "num_frames": 1, "height": height, "width": THUMBNAIL}
    try:
        (frame,) = read_clip(clip.model_copy(update=small), folder, decoder)
    except DecodeError:
        return ""
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    return data_url(jpeg.tobytes(), "image/jpeg")
