"""Whether a new model may take the champion's place: each rule with its figure and its reason.

A model may be no worse, not only no worse on average: the whole interval of the difference between
clips of the same first frame and noise must lie within the margin (a test of non-inferiority).
"""

from collections.abc import Iterator
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from exvideo.config.retraining import GateConfig
from exvideo.evaluation.intervals import MIN_CLIPS, Values, differences, interval

if TYPE_CHECKING:
    from exvideo.evaluation.numbers import Metric, Numbers

PHASE = "after"
"""What of an evaluation is the model itself, and not a stage of its training."""

REAL = "real"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Finding(_Record):
    """One rule."""

    rule: str
    passed: bool
    figure: float | None = None
    """Of the candidate, or its difference to the champion."""
    interval: tuple[float, float] | None = None
    """95 %, of the figure."""
    limit: float | None = None
    """What the figure, or the end of its interval, is held against."""
    reason: str


class Judgement(_Record):
    """A person's word, which outweighs the figures."""

    kind: Literal["sign-off", "veto"]
    reason: str


class Verdict(_Record):
    """What the gate says, and why."""

    passes: bool
    reason: str
    findings: tuple[Finding, ...] = ()


def decide(
    candidate: "Numbers",
    champion: "Numbers | None",
    gate: GateConfig,
    judgement: Judgement | None = None,
) -> Verdict:
    """Hold a candidate's numbers against the champion's; without one, against the floors alone."""
    findings = [*_floors(candidate, gate)]
    if champion is not None:
        findings += _comparison(candidate, champion, gate)
    if judgement is not None:
        passes = judgement.kind == "sign-off"
        findings.append(Finding(rule=judgement.kind, passed=passes, reason=judgement.reason))
        reason = f"{judgement.kind} by a person: {judgement.reason}"
        return Verdict(passes=passes, reason=reason, findings=tuple(findings))
    failed = [it for it in findings if not it.passed]
    if failed:
        reason = "; ".join(f"{it.rule}: {it.reason}" for it in failed)
    elif champion is None:
        reason = "the first model that moves: there is no champion yet"
    else:
        reason = "not worse than the champion in jitter, warping error and first frame"
    return Verdict(passes=not failed, reason=reason, findings=tuple(findings))


def _floors(candidate: "Numbers", gate: GateConfig) -> Iterator[Finding]:
    """A clip that stands still has no jitter and no warping error: it must not win by that."""
    speeds = list(_values(candidate, "flow_speed").values())
    real = list(_values(candidate, "flow_speed", REAL).values())
    if not speeds or not real:
        yield Finding(rule="motion", passed=False, reason="no clip's flow speed is known")
        return
    speed, limit = fmean(speeds), gate.least_motion * fmean(real)
    yield Finding(
        rule="motion",
        passed=speed >= limit,
        figure=speed,
        limit=limit,
        reason=f"{speed:.3g} pixels a frame, at least {limit:.3g} asked for: "
        f"{gate.least_motion:.0%} of the real clips' {fmean(real):.3g}",
    )
    still = 1 - len(_values(candidate, "jitter")) / len(speeds)
    yield Finding(
        rule="still clips",
        passed=still <= gate.most_still_clips,
        figure=still,
        limit=gate.most_still_clips,
        reason=f"{still:.0%} of {len(speeds)} clips stand still, "
        f"at most {gate.most_still_clips:.0%} may",
    )


def _comparison(candidate: "Numbers", champion: "Numbers", gate: GateConfig) -> Iterator[Finding]:
    others = unlike(candidate, champion)
    yield Finding(
        rule="same protocol",
        passed=not others,
        figure=len(others),
        limit=0,
        reason=f"they don't compare: {'; '.join(others)}; the champion is to be measured anew"
        if others
        else f"both measured under {candidate.protocol.digest}",
    )
    if others:
        return
    yield _not_higher(candidate, champion, "jitter", gate.jitter_margin)
    yield _not_higher(candidate, champion, "warping_error", gate.warping_error_margin)
    yield _first_frame_not_lower(candidate, champion, gate.first_frame_margin)


def unlike(candidate: "Numbers", champion: "Numbers") -> list[str]:
    """What keeps two measurements from being compared, by name; nothing where they may be."""
    others = candidate.protocol.differences(champion.protocol)
    if candidate.num_frames != champion.num_frames:
        others.append(f"frames {candidate.num_frames} and {champion.num_frames}")
    if _samples(candidate) != _samples(champion):
        others.append("first frames or seeds that only one of them has")
    return others


def _not_higher(
    candidate: "Numbers", champion: "Numbers", metric: "Metric", margin: float
) -> Finding:
    before = _values(champion, metric)
    paired = differences(_values(candidate, metric), before)
    # Of a champion whose clips all stand still, nothing is known to hold the candidate against.
    limit = margin * fmean(before[key] for key in paired) if paired else 0.0
    return _paired(metric, paired, limit, sign=1)


def _first_frame_not_lower(candidate: "Numbers", champion: "Numbers", margin: float) -> Finding:
    metric: Metric = "first_frame_psnr"
    paired = differences(_values(candidate, metric), _values(champion, metric))
    return _paired(metric, paired, margin, sign=-1)


def _paired(metric: "Metric", paired: Values, margin: float, sign: int) -> Finding:
    """`sign` is 1 where less is better: then the interval's upper end counts, else its lower."""
    rule, limit = metric.replace("_", " "), sign * margin
    bounds = interval(paired)
    if bounds is None:
        clips = len({clip for clip, _ in paired})
        return Finding(
            rule=rule,
            passed=False,
            figure=fmean(paired.values()) if paired else None,
            limit=limit,
            reason=f"{clips} first frames that both move from are too few for an interval: "
            f"{MIN_CLIPS} are needed (evaluation.clips)",
        )
    mean, worst = fmean(paired.values()), bounds[1] if sign > 0 else bounds[0]
    most = "at most" if sign > 0 else "at least"
    return Finding(
        rule=rule,
        passed=sign * (worst - limit) <= 0,
        figure=mean,
        interval=bounds,
        limit=limit,
        reason=f"{mean:+.3g} ({bounds[0]:+.3g} to {bounds[1]:+.3g}) against the champion over "
        f"{len(paired)} pairs, {most} {limit:+.3g} allowed",
    )


def _values(
    numbers: "Numbers", metric: "Metric", phase: str = PHASE
) -> dict[tuple[str, int], float]:
    return {
        (it.clip_id, it.seed): value
        for it in numbers.samples
        if it.phase == phase and (value := it.values.get(metric)) is not None
    }


def _samples(numbers: "Numbers") -> set[tuple[str, int]]:
    return {(it.clip_id, it.seed) for it in numbers.samples if it.phase == PHASE}
