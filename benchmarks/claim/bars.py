"""The bars that post-tuning is to reach, and what was found."""

from collections.abc import Mapping, Sequence

from benchmarks.claim.convergence import Reached
from benchmarks.claim.tables import spread
from exvideo.evaluation.numbers import Estimate

Found = Mapping[str, Estimate]

FOLLOWS = 0.5
"""Path agreement from which on a clip is said to follow the world."""

MATCHED = (0.8, 1.25)
"""Speeds that are alike, as a ratio."""


def bars_table(
    before: Found,
    after: Found,
    real: Found,
    change: Found,
    baselines: Mapping[str, Found],
    arrivals: Sequence[Reached | None],
) -> str:
    """A line a bar: what was found and whether that reaches it."""
    speeds = [_mean(after, "speed") / _mean(it, "speed") for it in (before, real)]
    shake = _mean(after, "camera jitter") / _mean(before, "camera jitter")
    straight = [_mean(it, "straightness") for it in (before, after)]
    agreement = [_mean(it, "path agreement") for it in (before, after)]
    first = _interval(change, "first frame")
    rows = [
        ("camera jitter at most half of before", f"{shake:.0%}", shake <= 0.5),
        (
            "straightness from below 0.5 to above 0.9",
            f"{straight[0]:.2f} to {straight[1]:.2f}",
            straight[0] < 0.5 and straight[1] > 0.9,
        ),
        (
            "path agreement from below 0.5 to above 0.9",
            f"{agreement[0]:.2f} to {agreement[1]:.2f}",
            agreement[0] < 0.5 and agreement[1] > 0.9,
        ),
        (
            "at matched speed (80 to 125 %)",
            f"{speeds[0]:.0%} of before; {speeds[1]:.0%} of the real clips'",
            all(MATCHED[0] <= it <= MATCHED[1] for it in speeds),
        ),
        (
            "warped error not higher",
            f"{_mean(change, 'warped error'):+.4f}",
            _interval(change, "warped error")[1] <= 0,
        ),
        (
            "first frame not worse",
            f"{_mean(change, 'first frame'):+.2f} dB ({first[0]:+.2f} to {first[1]:+.2f})",
            first[1] >= 0,
        ),
        *_against(baselines, after, real),
        *_arrived(arrivals),
    ]
    lines = ["| bar | found | |", "|---|---|---|"]
    lines += [f"| {bar} | {it} | {'' if ok else '**not** '}reached |" for bar, it, ok in rows]
    return "\n".join(lines)


def _against(
    baselines: Mapping[str, Found], after: Found, real: Found
) -> list[tuple[str, str, bool]]:
    """Against the baselines that do the same thing, and against all."""
    ours = _mean(after, "camera jitter")
    alike = [
        name
        for name, it in baselines.items()
        if _mean(it, "path agreement") >= FOLLOWS
        and MATCHED[0] <= _mean(it, "speed") / _mean(real, "speed") <= MATCHED[1]
    ]
    found = []
    for bar, names in (
        ("less camera jitter than each baseline that follows the world at its speed", alike),
        ("less camera jitter than each baseline", list(baselines)),
    ):
        better = {it: _mean(baselines[it], "camera jitter") for it in names}
        better = {name: it for name, it in better.items() if it <= ours}
        said = ", ".join(f"{name} ({it:.2f})" for name, it in better.items())
        none = f"than all {len(names)}" if names else "no baseline does"
        found.append((bar, f"{ours:.2f}, not than {said}" if said else none, not better))
    return found


def _arrived(arrivals: Sequence[Reached | None]) -> list[tuple[str, str, bool]]:
    known = [it for it in arrivals if it is not None]
    bar = "{} to target: range at most 8 % of the median"
    if len(known) < len(arrivals):
        missing = f"{len(arrivals) - len(known)} of {len(arrivals)} seeds do not arrive"
        return [(bar.format("steps"), missing, False)]
    values = {"steps": [it.steps for it in known], "minutes": [it.minutes for it in known]}
    return [(bar.format(n), f"{spread(v):.0%}", spread(v) <= 0.08) for n, v in values.items()]


def _mean(found: Found, metric: str) -> float:
    mean = found[metric].mean
    return float("nan") if mean is None else mean


def _interval(found: Found, metric: str) -> tuple[float, float]:
    return found[metric].interval or (_mean(found, metric), _mean(found, metric))
