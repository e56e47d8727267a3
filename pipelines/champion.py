"""Stage 6: the new model against the registry's champion; what is not worse takes its place.

python -m pipelines.champion --preset tiny
"""

import sys
from typing import TYPE_CHECKING, Any

from exvideo.config import Preset
from exvideo.errors import InputError
from exvideo.receipt import Figure, digest_of, write_atomically
from pipelines.evaluation_grid import OTHER_FIGURES, drawn_with, real_clips
from pipelines.stage import Job, Outcome, Stage, main
from pipelines.training_start import registered_weights

if TYPE_CHECKING:
    from exvideo.evaluation.gate import Verdict
    from exvideo.evaluation.numbers import Numbers
    from exvideo.registry import Registry, Version

FILES = {"verdict": "verdict.json"}


def sections(preset: Preset) -> Any:
    return [
        preset.retraining.gate.model_dump(),
        preset.evaluation.model_dump(exclude=OTHER_FIGURES),
    ]


def fingerprint(preset: Preset) -> str:
    """Who is the champion, and what people say of the versions."""
    from exvideo.registry import Registry

    registry = Registry(preset)
    champion = registry.champion()
    said = {it.number: str(it.judgement) for it in registry.versions()}
    return digest_of([champion and champion.number, said])


def run(job: Job) -> Outcome:
    """Hold the new model's numbers against the champion's; promote it if it is not worse."""
    job.progress.doing("loading libraries")
    from exvideo.evaluation.gate import Verdict, decide
    from exvideo.evaluation.numbers import Numbers
    from exvideo.registry import Registry

    model, evaluation = job.inputs["post_tuned_model"], job.inputs["evaluation_grid"]
    if evaluation.receipt.inputs.get("post_tuned_model") != model.receipt.digest:
        raise InputError(
            "the last evaluation is of another model: run "
            f"`exvideo run evaluation_grid --preset {job.preset.name}` first"
        )
    registry = Registry(job.preset)
    candidate, champion = registry.of_weights(model.receipt.digest), registry.champion()
    if champion is not None and champion.number == candidate.number:
        verdict = Verdict(passes=True, reason=f"version {candidate.number} is the champion already")
    else:
        numbers = Numbers.model_validate_json(evaluation.file("numbers").read_bytes())
        registry.keep_numbers(candidate, numbers.model_dump(mode="json"))
        against = _champions_numbers(job, registry, champion, numbers) if champion else None
        verdict = decide(numbers, against, job.preset.retraining.gate, candidate.judgement)
        registry.tell(candidate, verdict)
        if verdict.passes:
            registry.promote(candidate)
    job.progress.say(f"{'passed' if verdict.passes else 'refused'}: {verdict.reason}")
    write_atomically(job.output / FILES["verdict"], verdict.model_dump_json(indent=1).encode())
    figures = _figures(verdict, candidate, registry.champion())
    return Outcome(digest_of(verdict.model_dump()), FILES, figures)


def _champions_numbers(
    job: Job, registry: "Registry", champion: "Version", candidate: "Numbers"
) -> "Numbers":
    """The numbers kept with the champion; measured anew where they don't compare any more."""
    from exvideo.evaluation.gate import unlike
    from exvideo.evaluation.numbers import Numbers

    kept = registry.kept_numbers(champion)
    if kept is None:
        job.progress.say(f"measuring version {champion.number}, of which no numbers are kept")
    else:
        numbers = Numbers.model_validate_json(kept)
        if not (others := unlike(candidate, numbers)):
            return numbers
        job.progress.say(f"measuring version {champion.number} anew: {'; '.join(others)}")
    return _measured(job, champion)


def _measured(job: Job, champion: "Version") -> "Numbers":
    """The champion's numbers from this evaluation's first frames and seeds."""
    from exvideo.evaluation.evaluate import evaluate
    from exvideo.evaluation.flow import load_raft
    from exvideo.evaluation.gate import PHASE
    from exvideo.evaluation.networks import load_networks
    from exvideo.evaluation.samples import Phase, generate_missing, samples
    from exvideo.generation.load import best_device, extended_pipeline
    from exvideo.models import read_metadata
    from exvideo.models.positions import walk_period
    from exvideo.precision import choose_precision

    preset, config = job.preset, job.preset.evaluation
    precision = choose_precision(config.precision, best_device()).precision
    raft = load_raft(config.flow, best_device())
    networks = load_networks(config.networks, best_device())
    with registered_weights(champion, preset) as path:
        metadata = read_metadata(path)
        folder = job.scratch / f"version-{champion.number}"
        real = real_clips(job.preset, job.inputs, folder, job.progress)
        phase = Phase(PHASE, metadata.step or 0, path)
        wanted = list(samples(folder, [phase], [it.first_frame for it in real], config.seeds))
        num_frames = preset.clips.num_frames

        def pipeline(phase: Phase) -> Any:
            return extended_pipeline(preset.model, num_frames, phase.extension, precision=precision)

        generate_missing(wanted, pipeline, num_frames, config, job.progress)
    numbers, _ = evaluate(
        [*real, *wanted],
        raft,
        0,
        job.progress,
        fps=config.fps,
        period=walk_period(metadata.native_frames, preset.model.table_init),
        sampling=drawn_with(config, precision),
        networks=networks,
    )
    return numbers


def _figures(
    verdict: "Verdict", candidate: "Version", champion: "Version | None"
) -> dict[str, Figure]:
    return {
        "passes": verdict.passes,
        "reason": verdict.reason,
        "candidate": f"version {candidate.number}",
        "champion": f"version {champion.number}" if champion else "none",
    }


STAGE = Stage(
    name="champion",
    version=1,
    inputs=("source_videos", "clips", "post_tuned_model", "evaluation_grid"),
    sections=sections,
    run=run,
    fingerprint=fingerprint,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
