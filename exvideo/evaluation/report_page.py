"""One HTML page of an evaluation: numbers, curves and players, without a network or a server."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from exvideo.clips.windows import spread
from exvideo.evaluation import protocol as measurement
from exvideo.evaluation.intervals import MIN_CLIPS
from exvideo.evaluation.numbers import Estimate, Metric
from exvideo.evaluation.player import slice_url, video_url
from exvideo.html_page import html_page

TEMPLATE = Path(__file__).with_name("report_page.html")

EXTREMES, OTHERS = 2, 2
"""Rows of players: the most jittering, the smoothest, and of those between."""

MEDIA_BYTES = 12_000_000
"""What all players and slices may take of the page: mail and phones take a page of that size."""

FIRST_METRICS: tuple[Metric, ...] = (
    "jitter",
    "camera_jitter",
    "path_straightness",
    "flow_speed",
    "visible_warping_error",
    "contrast_drift",
    "sharpness_drift",
    "repetition",
    "first_frame_psnr",
)
"""What the page begins with; all others follow behind a fold."""


@dataclass(frozen=True)
class Column:
    """A column of the table: a group of clips, or what one has more than another."""

    name: str
    values: Sequence[tuple[str, Estimate]]
    """By metric."""
    difference: bool = False
    form: str = ""
    """Of the group's clips: length, rate and size, where groups may differ in these."""


@dataclass(frozen=True)
class Curve:
    """A line of a chart."""

    name: str
    points: Sequence[tuple[float, float]]
    bounds: Sequence[tuple[float, float] | None] = ()
    """Each point's interval."""
    faint: bool = False


@dataclass(frozen=True)
class Chart:
    """Curves over one axis."""

    title: str
    x: str
    curves: Sequence[Curve]
    log: bool = False
    over_frames: bool = False
    """The players' slider shows where in it they are."""


@dataclass(frozen=True)
class Player:
    """A clip that the page may show."""

    group: str
    fps: float
    values: Mapping[Metric, float | None]
    frames: Callable[[], np.ndarray]
    """Reads it, uint8 [T, H, W, 3]; called for those that are shown."""


@dataclass(frozen=True)
class PlayerRow:
    """Clips that belong together, side by side."""

    title: str
    jitter: float | None
    """What rows are ranked by; None for clips that stand still."""
    players: Sequence[Player]


@dataclass(frozen=True)
class Report:
    """What the page says."""

    title: str
    subtitle: str
    groups: Sequence[str]
    """In the order of their columns; a group has one colour everywhere."""
    definitions: Sequence[tuple[str, str]]
    """Of the metrics, by name, in the table's order."""
    columns: Sequence[Column]
    charts: Sequence[Chart]
    ranked_by: str
    rows: Sequence[PlayerRow]
    facts: Sequence[tuple[str, str]]
    """What made it, by name."""
    unavailable: Mapping[str, str] = field(default_factory=dict)
    """Metrics that were not measured, each with the reason."""
    lineage: Sequence[tuple[str, str]] = ()
    """What the model was trained on, by name."""
    notes: Sequence[str] = ()


def report_page(report: Report, media_bytes: int = MEDIA_BYTES) -> bytes:
    """The page, the same bytes for the same report."""
    rows = list(_embedded(ranked(report.rows, report.ranked_by), media_bytes))
    data = {
        "title": report.title,
        "subtitle": report.subtitle,
        "groups": list(report.groups),
        "definitions": dict(report.definitions),
        "first": list(FIRST_METRICS),
        "unavailable": dict(report.unavailable),
        "columns": [_column(it) for it in report.columns],
        "charts": [asdict(it) for it in report.charts],
        "rows": rows,
        "all_rows": len(report.rows),
        "media_mb": media_bytes / 1e6,
        "facts": list(report.facts),
        "lineage": list(report.lineage),
        "notes": [*report.notes, *_without_interval(report)],
    }
    return html_page(TEMPLATE, data)


def ranked(rows: Sequence[PlayerRow], group: str) -> list[tuple[str, PlayerRow]]:
    """Which rows to show, each with the heading that it stands under."""
    known = sorted(
        (it for it in rows if it.jitter is not None),
        key=lambda row: (-(row.jitter or 0.0), row.title),
    )
    extremes = min(EXTREMES, len(known) // 2)
    worst, best = known[:extremes], known[len(known) - extremes :][::-1]
    between = [it for it in rows if not any(it is taken for taken in (*worst, *best))]
    others = [between[index] for index in sorted(spread(len(between), OTHERS))]
    return [
        *((f"most jittering ({group})", it) for it in worst),
        *((f"smoothest ({group})", it) for it in best),
        *(("others" if known else "", it) for it in others),
    ]


class FrameFigures(Protocol):
    """A measured clip's figures of each frame."""

    @property
    def speed(self) -> Sequence[float]: ...

    @property
    def shake(self) -> Sequence[float]: ...

    @property
    def contrast(self) -> Sequence[float]: ...


def charts_over_frames(groups: Mapping[str, Sequence[FrameFigures]]) -> list[Chart]:
    """Each group's means over its clips; a group without any figures has no curve."""
    # A flow lies between two frames, its second difference around a pair's.
    figures: list[tuple[str, float, Callable[[FrameFigures], Sequence[float]]]] = [
        ("Flow speed, pixels a frame", 0.5, lambda it: it.speed),
        ("Shake, second difference of the flow", 1.5, lambda it: it.shake),
        ("Contrast", 0.0, lambda it: it.contrast),
    ]
    charts = []
    for title, start, of in figures:
        means = {
            name: mean_curve([of(it) for it in clips], start) for name, clips in groups.items()
        }
        curves = [Curve(name, points) for name, points in means.items() if points]
        charts.append(Chart(title, "frame", curves, over_frames=True))
    return [it for it in charts if it.curves]


def mean_curve(values: Sequence[Sequence[float]], start: float) -> list[tuple[float, float]]:
    """The mean over clips of each frame's figure, over the clips that reach the frame."""
    longest = max((len(it) for it in values), default=0)
    columns = ([it[t] for it in values if t < len(it)] for t in range(longest))
    return [(t + start, float(f"{np.mean(it):.6g}")) for t, it in enumerate(columns)]


def _column(column: Column) -> dict[str, Any]:
    values = {
        name: it.model_dump(mode="json", include={"mean", "interval", "samples"})
        for name, it in column.values
        if it.mean is not None
    }
    return {
        "name": column.name,
        "form": column.form,
        "difference": column.difference,
        "values": values,
    }


def _embedded(rows: Sequence[tuple[str, PlayerRow]], media_bytes: int) -> Iterator[dict[str, Any]]:
    """Row by row, whole or not at all, until the page is full."""
    for section, row in rows:
        players = [_player(it) for it in row.players]
        media_bytes -= sum(len(it["video"]) + len(it["slice"]) for it in players)
        if media_bytes < 0:
            return
        yield {"section": section, "title": row.title, "players": players}


def _player(player: Player) -> dict[str, Any]:
    frames = player.frames()
    return {
        "group": player.group,
        "fps": player.fps,
        "num_frames": len(frames),
        "size": f"{frames.shape[2]}x{frames.shape[1]}",
        "values": dict(player.values),
        "video": video_url(frames, player.fps),
        "slice": slice_url(frames),
    }


def _without_interval(report: Report) -> list[str]:
    if any(it.interval for column in report.columns for _, it in column.values):
        return []
    return [f"There are no intervals: they take {MIN_CLIPS} clips or more."]


def measured_by(protocol: measurement.Protocol) -> list[tuple[str, str]]:
    """What a page says of how its numbers were measured."""
    sampling = ", ".join(f"{name} {value}" for name, value in protocol.sampling.items())
    facts = {
        "protocol": protocol.digest,
        "optical flow": protocol.estimator,
        "metrics": f"version {protocol.metrics}",
        "torch": f"{protocol.torch} on {protocol.device}",
        "sampling": sampling.replace("_", " "),
        "first frames": protocol.first_frames,
    }
    return [(name, text) for name, text in facts.items() if text]
