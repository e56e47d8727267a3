"""The report of an evaluation: the phases of a training beside the real clips."""

from collections.abc import Iterator, Sequence

from exvideo.clips.windows import spread
from exvideo.evaluation.numbers import Estimate, Numbers
from exvideo.evaluation.report_page import (
    Chart,
    Column,
    Curve,
    Player,
    PlayerRow,
    Report,
    charts_over_frames,
    measured_by,
)
from exvideo.evaluation.samples import REAL, Sample
from exvideo.training.metrics import Row

CURVE_POINTS = 1000
"""Of a training's figure, evenly spread: more than a chart has pixels."""


def run_report(
    title: str,
    numbers: Numbers,
    samples: Sequence[Sample],
    training: Sequence[Row],
    facts: Sequence[tuple[str, str]],
    ranked_by: str | None = None,
    lineage: Sequence[tuple[str, str]] = (),
) -> Report:
    """What the page says of `numbers`, whose samples are `samples`, in the same order.

    `training` is the rows of the model's training; `facts` is what made the clips and `lineage`
    what the model was trained on, by name. Clips are ranked by one phase's jitter, by default the
    last one's.
    """
    phases = list(numbers.summary)
    ranked_by = ranked_by or phases[-1]
    by_phase = {phase: [it for it in numbers.samples if it.phase == phase] for phase in phases}
    seconds = numbers.num_frames / numbers.fps
    clips = len({it.clip_id for it in numbers.samples})
    seeds = len({it.seed for it in numbers.samples})
    return Report(
        title=title,
        subtitle=(
            f"{clips} first frames, {seeds} seed{'s' if seeds > 1 else ''}; {numbers.num_frames} "
            f"frames at {numbers.fps:g} a second, {seconds:.2f} s"
        ),
        groups=phases,
        definitions=[
            *numbers.definitions.items(),
            *numbers.distance_definitions().items(),
        ],
        columns=list(_columns(numbers)),
        charts=[*charts_over_frames(by_phase), *_over_training(numbers, training)],
        ranked_by=ranked_by,
        rows=list(_rows(numbers, samples, ranked_by)),
        facts=[*facts, *measured_by(numbers.protocol)],
        unavailable=numbers.unavailable,
        lineage=lineage,
    )


def _columns(numbers: Numbers) -> Iterator[Column]:
    generated = [it for it in numbers.summary if it != REAL.name]
    for phase, summary in numbers.summary.items():
        distances = [(name, _single(it)) for name, it in numbers.distances(phase).items()]
        yield Column(phase, [*summary.items(), *distances])
    for phase, differences in numbers.differences.items():
        yield Column(f"{phase} - {generated[0]}", list(differences.items()), difference=True)


def _single(value: float | None) -> Estimate:
    """A figure of a whole phase, which has no spread."""
    return Estimate(
        mean=value, standard_error_seeds=None, standard_error_clips=None, interval=None, samples=0
    )


def _over_training(numbers: Numbers, training: Sequence[Row]) -> Iterator[Chart]:
    shown = {"loss": "training loss", "validation_loss": "validation loss"}
    points = {label: _points(training, name) for name, label in shown.items()}
    # A step's loss is that of a few noise levels: it scatters, and must not hide the other.
    curves = [
        Curve(it, found, faint=it == "training loss") for it, found in points.items() if found
    ]
    if curves:
        yield Chart("Losses, mean squared error on v", "step", curves, log=True)
    steps = {it.phase: it.step for it in numbers.samples if it.phase != REAL.name}
    jitter = {phase: numbers.summary[phase]["jitter"] for phase in steps}
    known = [(step, jitter[phase]) for phase, step in steps.items()]
    means = [(float(step), it.mean) for step, it in known if it.mean is not None]
    bounds = [it.interval for _, it in known if it.mean is not None]
    if len({step for step, _ in means}) > 1:
        yield Chart("Jitter over the training", "step", [Curve("generated clips", means, bounds)])


def _points(training: Sequence[Row], name: str) -> list[tuple[float, float]]:
    rows = [row for row in training if name in row]
    chosen = sorted(spread(len(rows), CURVE_POINTS) | ({0, len(rows) - 1} if rows else set()))
    return [(float(rows[it]["step"]), float(rows[it][name])) for it in chosen]


def _rows(numbers: Numbers, samples: Sequence[Sample], ranked_by: str) -> Iterator[PlayerRow]:
    """A row a first frame and seed, the real clip at its beginning."""
    real: dict[str, Player] = {}
    rows: dict[tuple[str, int], list[Player]] = {}
    jitter: dict[tuple[str, int], float | None] = {}
    for measured, sample in zip(numbers.samples, samples, strict=True):
        player = Player(measured.phase, numbers.fps, measured.values, sample.frames)
        if measured.phase == REAL.name:
            real[measured.clip_id] = player
            continue
        key = measured.clip_id, measured.seed
        rows.setdefault(key, []).append(player)
        if measured.phase == ranked_by:
            jitter[key] = measured.values["jitter"]
    for (clip_id, seed), players in rows.items():
        before = [real[clip_id]] if clip_id in real else []
        yield PlayerRow(f"clip {clip_id}, seed {seed}", jitter[clip_id, seed], [*before, *players])
