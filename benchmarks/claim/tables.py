"""The Markdown tables that docs/claim.md shows."""

from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.claim.convergence import Reached
from exvideo.evaluation.intervals import differences
from exvideo.evaluation.numbers import Estimate, estimate

METRICS = (
    "camera jitter",
    "jitter",
    "straightness",
    "path agreement",
    "speed",
    "warped error",
    "first frame",
)

BySample = Mapping[tuple[str, int], Mapping[str, float]]
"""A row's clips: their numbers by first frame and the training's seed."""


def of_metric(samples: BySample, name: str) -> dict[tuple[str, int], float]:
    """The samples that have it."""
    return {key: values[name] for key, values in samples.items() if name in values}


def estimates(samples: BySample) -> dict[str, Estimate]:
    return {name: estimate(of_metric(samples, name)) for name in METRICS}


def changes(samples: BySample, before: BySample) -> dict[str, Estimate]:
    """Each sample less the clip before training of the same first frame, whatever the seed."""
    result = {}
    for name in METRICS:
        first = {clip: value for (clip, _), value in of_metric(before, name).items()}
        values = of_metric(samples, name)
        reference = {key: first[key[0]] for key in values if key[0] in first}
        result[name] = estimate(differences(values, reference))
    return result


def table(rows: Mapping[str, Mapping[str, Estimate]], counts: Mapping[str, int]) -> str:
    """A line a row: means with their 95 % intervals."""
    lines = [
        f"| | clips | {' | '.join(METRICS)} |",
        f"|---|---:|{'---:|' * len(METRICS)}",
    ]
    for name, found in rows.items():
        cells = " | ".join(cell(found[metric], metric) for metric in METRICS)
        lines.append(f"| {name} | {counts[name]} | {cells} |")
    return "\n".join(lines)


def cell(found: Estimate, metric: str) -> str:
    """0.24 (0.23 to 0.26); a dash for what no clip has."""
    digits = 4 if metric == "warped error" else 2
    if found.mean is None:
        return "–"
    mean = f"{found.mean:.{digits}f}"
    if found.interval is None:
        return mean
    low, high = found.interval
    return f"{mean} ({low:.{digits}f} to {high:.{digits}f})"


def convergence_table(found: Sequence[Reached | None], target: float) -> str:
    """Each seed's steps and minutes to the target, their median and range."""
    lines = [f"| seed | steps to {target:g} | minutes |", "|---|---:|---:|"]
    for seed, it in enumerate(found):
        row = ("not reached", "–") if it is None else (f"{it.steps:.0f}", f"{it.minutes:.2f}")
        lines.append(f"| {seed} | {row[0]} | {row[1]} |")
    known = [it for it in found if it is not None]
    if len(known) == len(found):
        steps, minutes = [it.steps for it in known], [it.minutes for it in known]
        lines.append(f"| median | {median(steps):.0f} | {median(minutes):.2f} |")
        lines.append(f"| range / median | {spread(steps):.0%} | {spread(minutes):.0%} |")
    return "\n".join(lines)


def spread(values: Sequence[float]) -> float:
    """Largest less smallest, over the median."""
    return (max(values) - min(values)) / median(values)
