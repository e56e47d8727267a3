"""What was measured, as lines on the screen."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exvideo.evaluation.folder import FolderNumbers
    from exvideo.evaluation.numbers import Estimate, Metric

    Summary = Mapping[Metric, Estimate]


def described(numbers: "FolderNumbers") -> Iterator[str]:
    """A folder's videos, their forms and by what they were measured; below, what was not."""
    forms = numbers.forms()
    shown = "; ".join(f"{n} frames at {fps:g} a second, {size}" for n, fps, size in forms)
    by = f"{numbers.protocol.estimator}, protocol {numbers.protocol.digest}"
    yield f"{numbers.folder}: {len(numbers.videos)} videos ({shown}), by {by}"
    for it in numbers.unmeasured:
        yield f"  not measured: {it.name}: {it.reason}"
    if len({form[:2] for form in forms}) > 1:
        yield "  their lengths or rates differ, and with them what the means compare"


def table(summary: "Summary") -> Iterator[str]:
    """A line a metric."""
    yield f"  {'metric':<24}{'mean':>10}   {'95 % interval':<22}{'videos':>6}"
    for name, it in summary.items():
        if it.mean is not None:
            bounds = "" if it.interval is None else f"{it.interval[0]:.4g} to {it.interval[1]:.4g}"
            yield f"  {name:<24}{it.mean:>10.4g}   {bounds:<22}{it.samples:>6}"
    yield from _too_few([summary])


def folders_table(folders: Mapping[str, "FolderNumbers"]) -> Iterator[str]:
    """A column a folder, headed by its videos' forms."""
    forms = [it.forms() for it in folders.values()]
    head = [
        ("videos", [str(len(it.videos)) for it in folders.values()]),
        ("frames", [_each(form[0] for form in it) for it in forms]),
        ("frames a second", [_each(f"{form[1]:g}" for form in it) for it in forms]),
        ("seconds", [_each(f"{form[0] / form[1]:.2f}" for form in it) for it in forms]),
        ("size", [_each(form[2] for form in it) for it in forms]),
    ]
    yield from columns_table(head, {name: it.summary for name, it in folders.items()})


def columns_table(
    head: Sequence[tuple[str, Sequence[str]]], groups: Mapping[str, "Summary"]
) -> Iterator[str]:
    """A column a group: lines of words, then a line a metric, with intervals where it has them."""
    metrics = [
        name
        for name in next(iter(groups.values()))
        if any(it[name].mean is not None for it in groups.values())
    ]
    rows = [("", list(groups)), *head]
    rows += [(name, [_cell(it[name]) for it in groups.values()]) for name in metrics]
    widths = [
        max(len(it) for it in column) for column in zip(*(row for _, row in rows), strict=True)
    ]
    for name, cells in rows:
        shown = (f"{it:<{width}}" for it, width in zip(cells, widths, strict=True))
        yield f"  {name:<24}{'  '.join(shown)}".rstrip()
    yield from _too_few(groups.values())


def unavailable_lines(unavailable: Mapping[str, str]) -> Iterator[str]:
    """What was not measured, and why."""
    for name, reason in unavailable.items():
        yield f"  {name:<24}unavailable: {reason}"


def _cell(estimate: "Estimate") -> str:
    if estimate.mean is None:
        return "-"
    if estimate.interval is None:
        return f"{estimate.mean:.3g}"
    low, high = estimate.interval
    return f"{estimate.mean:.3g} [{low:.3g}, {high:.3g}]"


def _each(values: Iterable[object]) -> str:
    """Different ones side by side; two at most, as a folder may hold as many as it has videos."""
    found = list(dict.fromkeys(str(it) for it in values))
    return "/".join(found[:2]) + ("/..." if len(found) > 2 else "")


def _too_few(summaries: "Iterable[Summary]") -> Iterator[str]:
    from exvideo.evaluation.intervals import MIN_CLIPS

    counts = [it.samples for summary in summaries for it in summary.values() if it.samples]
    if min(counts, default=0) < MIN_CLIPS:
        yield f"  an interval takes {MIN_CLIPS} videos or more"
