"""The funnel of each source as a picture: how many candidates are left after each reason."""

import io
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from exvideo.clips.filters.filter import Filter
from exvideo.clips.funnel import Funnel, funnels
from exvideo.clips.manifest import Clip

BEFORE = ("unreadable", "damaged", "soft cut", "no frame rate", "too small", "too short")
AFTER = ("duplicate", "near-duplicate", "surplus")
"""Reasons that come before the filters' and behind them."""

COLUMNS = 2
MOST = 12
"""Sources that are drawn: the largest. The table has them all."""

KEPT, LEFT, LOST = "#2a5d8f", "#9fb8d0", "#d9a38f"


def funnel_chart(clips: Sequence[Clip], filters: Sequence[Filter]) -> bytes:
    """PNG; the sources with most candidates first, reasons in the order of judging."""
    found = sorted(funnels(clips), key=lambda funnel: (-funnel.candidates, funnel.source))
    order = [*BEFORE, *(it.fault for it in filters), *AFTER]
    drawn = found[:MOST]
    columns = min(COLUMNS, max(1, len(drawn)))
    rows = max(1, -(-len(drawn) // columns))
    bars = 2 + max((len(funnel.rejected) for funnel in drawn), default=0)
    figure = Figure(figsize=(6 * columns, (0.6 + 0.24 * bars) * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for funnel, ax in zip(drawn, axes, strict=False):
        _draw(funnel, order, ax)
    for ax in axes[len(drawn) :]:
        ax.set_axis_off()
    if len(found) > MOST:
        figure.supxlabel(f"and {len(found) - MOST} smaller sources", fontsize=9)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=100)
    return png.getvalue()


def steps(funnel: Funnel, order: Sequence[str]) -> list[tuple[str, int, int]]:
    """(reason, rejected, left behind it) for each reason that there is, in the order given."""
    place = {reason: number for number, reason in enumerate(order)}
    left, found = funnel.candidates, []
    for reason in sorted(funnel.rejected, key=lambda it: (place.get(it, len(order)), it)):
        left -= funnel.rejected[reason]
        found.append((reason, funnel.rejected[reason], left))
    return found


def _draw(funnel: Funnel, order: Sequence[str], ax: Axes) -> None:
    found = steps(funnel, order)
    names = ["candidates", *(reason for reason, _, _ in found), "kept"]
    ax.barh(0, funnel.candidates, color=LEFT)
    for row, (_, rejected, left) in enumerate(found, start=1):
        ax.barh(row, left, color=LEFT)
        ax.barh(row, rejected, left=left, color=LOST)
    ax.barh(len(found) + 1, funnel.kept, color=KEPT)
    counts = [funnel.candidates, *(-rejected for _, rejected, _ in found), funnel.kept]
    ends = [funnel.candidates, *(left + rejected for _, rejected, left in found), funnel.kept]
    for row, (count, end) in enumerate(zip(counts, ends, strict=True)):
        ax.text(end, row, f" {count:,}", va="center", fontsize=8)
    ax.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)
    ax.invert_yaxis()
    ax.set_xlim(0, max(1, funnel.candidates) * 1.15)
    ax.set_xticks([])
    ax.spines[["top", "right", "bottom"]].set_visible(False)
    # A source's name is text, whatever signs are in it.
    title = f"{funnel.source}: {funnel.decoded:,} of {funnel.videos:,} videos decoded"
    ax.set_title(title, fontsize=9, loc="left", parse_math=False)
