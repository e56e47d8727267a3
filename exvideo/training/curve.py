"""A training's losses as a picture."""

from collections.abc import Sequence
from pathlib import Path

from exvideo.training.metrics import Row


def write_curve(rows: Sequence[Row], path: Path) -> None:
    """Draw the losses over the steps to a PNG: training's, validation's and that of each sigma."""
    # Not pyplot: its figures and its choice of a backend are the process's, not ours.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    for name in dict.fromkeys(name for row in rows for name in row if "loss" in name):
        points = [(row["step"], row[name]) for row in rows if name in row]
        # A step's loss is that of a few noise levels: it scatters, and must not hide the others.
        scatters = name == "loss"
        axes.plot(
            *zip(*points, strict=True),
            label="training loss" if scatters else name.replace("_", " "),
            color="0.8" if scatters else None,
            zorder=1 if scatters else 2,
            marker=None if scatters else "o",
            linewidth=2 if name == "validation_loss" else 1,
        )
    axes.set(xlabel="step", ylabel="mean squared error on v", yscale="log")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="small")
    figure.savefig(path, dpi=120)
