"""The claim's figure: bars with 95 % intervals, validation losses, steps to the target."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.claim.convergence import Reached
from exvideo.evaluation.numbers import Estimate

Groups = Mapping[str, Mapping[str, Mapping[str, Estimate]]]
"""Tables' rows by the tables' names."""


def draw(
    path: Path,
    groups: Groups,
    curves: Sequence[Sequence[tuple[int, float]]],
    found: Sequence[Reached | None],
    target: float,
) -> None:
    """Write a PNG; tables that have no rows yet are left out."""
    figure = Figure(figsize=(13, 8), layout="constrained")
    (jitter, straightness), (losses, minutes) = figure.subplots(2, 2)
    _bars(jitter, groups, "camera jitter")
    _bars(straightness, groups, "straightness")
    for seed, curve in enumerate(curves):
        losses.plot(*zip(*curve, strict=True), marker="o", label=f"seed {seed}")
    losses.axhline(target, color="0.3", linestyle="--", label=f"target {target:g}")
    losses.set(xlabel="step", ylabel="validation loss", yscale="log")
    losses.legend(fontsize="small")
    known = {f"seed {seed}": it.minutes for seed, it in enumerate(found) if it is not None}
    minutes.bar(list(known), list(known.values()), color="C0")
    minutes.set(ylabel=f"minutes of training to a validation loss of {target:g}")
    figure.savefig(path, dpi=100)


def _bars(axes: Any, groups: Groups, metric: str) -> None:
    place, names = 0, []
    for number, rows in enumerate(groups.values()):
        for name, found in rows.items():
            mean, bounds = found[metric].mean, found[metric].interval
            if mean is None:
                continue
            # A skewed sample's mean may lie at an interval's end, and rounding beyond it.
            error = [[max(0, mean - bounds[0])], [max(0, bounds[1] - mean)]] if bounds else None
            axes.barh(place, mean, xerr=error, color=f"C{number}", capsize=2)
            names.append(name)
            place += 1
    axes.set_yticks(range(place), names, fontsize="small")
    axes.invert_yaxis()
    axes.set(xlabel=metric)
    axes.grid(axis="x", alpha=0.3)
