"""Every score's histogram with its threshold drawn, as one picture."""

import io
from collections.abc import Sequence

from matplotlib.figure import Figure

from exvideo.clips.filters.filter import Filter
from exvideo.clips.manifest import Clip
from exvideo.clips.verdicts import Thresholds

COLUMNS = 4


def histograms(clips: Sequence[Clip], filters: Sequence[Filter], applied: Thresholds) -> bytes:
    """PNG; only clips that were scored count."""
    rows = -(-len(filters) // COLUMNS)
    figure = Figure(figsize=(3 * COLUMNS, 2 * rows), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for found, ax in zip(filters, axes, strict=False):
        threshold = applied[found.name]
        ax.hist([clip.scores[found.name] for clip in clips if found.name in clip.scores], bins=40)
        if threshold is not None:
            ax.axvline(threshold, color="tab:red")
        side = "recorded only" if threshold is None else f"{found.keeps} {threshold:g}"
        ax.set_title(f"{found.name}: {side}", fontsize=9)
        ax.tick_params(labelsize=7)
    for ax in axes[len(filters) :]:
        ax.set_axis_off()
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=100)
    return png.getvalue()
