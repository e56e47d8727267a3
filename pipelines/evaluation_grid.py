"""Clips generated before, in the middle of and after post-tuning, with RAFT's flow and numbers.

python -m pipelines.evaluation_grid --preset tiny
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exvideo.config import EvaluationConfig, Preset
from exvideo.progress import Progress
from exvideo.receipt import Figure, digest_of, write_atomically
from pipelines.stage import Job, Outcome, Stage, StageInput, main

if TYPE_CHECKING:
    from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import (
        StableVideoDiffusionPipeline,
    )

    from exvideo.clips.manifest import Clip
    from exvideo.evaluation.numbers import Numbers
    from exvideo.evaluation.samples import Phase, Sample
    from exvideo.models.extension_file import ExtensionMetadata
    from exvideo.tracking import TrackedRun
    from exvideo.training.metrics import Row

EXTENSIONS = {"middle": "middle", "after": "extension"}
"""Each phase's file of the trained model; `before` has none."""

FIGURES = {
    "jitter": "",
    "flow_speed": " (pixels a frame)",
    "camera_jitter": "",
    "path_straightness": "",
}
"""Metrics that the receipt shows, with their units."""

OTHER_FIGURES = {"resolutions", "other_models"}
"""Settings of the figures that stages of their own draw."""

MODEL_FIGURES = ("model version", "MLflow run")
"""Of the model's receipt, for the report."""

FILES = {
    "grid": "grid.png",
    "preview": "grid.jpg",
    "video": "grid.mp4",
    "numbers": "numbers.json",
    "report": "report.html",
}


def sections(preset: Preset) -> Any:
    # Clips and weights come in through the inputs' digests.
    evaluation = preset.evaluation.model_dump(exclude=OTHER_FIGURES)
    return [evaluation, preset.model, preset.clips.num_frames]


def run(job: Job) -> Outcome:
    """Generate what is missing, measure it, draw the grid and the report, log them with the
    training.
    """
    job.progress.doing("loading libraries")
    from exvideo.evaluation.contact_sheet import write_contact_sheet, write_preview
    from exvideo.evaluation.evaluate import evaluate, grid_contrast
    from exvideo.evaluation.flow import load_raft
    from exvideo.evaluation.networks import load_networks
    from exvideo.evaluation.report_page import report_page
    from exvideo.evaluation.run_report import run_report
    from exvideo.evaluation.samples import generate_missing, samples
    from exvideo.evaluation.side_by_side import write_side_by_side
    from exvideo.generation.load import best_device, extended_pipeline
    from exvideo.models.positions import walk_period
    from exvideo.precision import choose_precision

    preset, config = job.preset, job.preset.evaluation
    num_frames = preset.clips.num_frames
    choice = choose_precision(config.precision, best_device())
    job.progress.say(f"sampling in {choice.reason}")
    raft = load_raft(config.flow, best_device())  # before hours of sampling: its file may lack
    networks = load_networks(config.networks, best_device())

    def pipeline(phase: "Phase") -> "StableVideoDiffusionPipeline":
        return extended_pipeline(
            preset.model, num_frames, phase.extension, precision=choice.precision
        )

    job.progress.doing("reading the held-out clips")
    with _phases(job) as (phases, trained):
        folder = job.scratch / "clips"
        real = real_clips(job.preset, job.inputs, folder, job.progress)
        wanted = list(samples(folder, phases, [it.first_frame for it in real], config.seeds))
        generate_missing(wanted, pipeline, num_frames, config, job.progress)
    numbers, blocks = evaluate(
        [*real, *wanted],
        raft,
        config.grid_clips,
        job.progress,
        fps=config.fps,
        period=walk_period(trained.native_frames, preset.model.table_init),
        sampling=drawn_with(config, choice.precision),
        networks=networks,
    )

    job.progress.doing("drawing the grid and the video")
    drawn = {name: job.scratch / file for name, file in FILES.items()}
    extended = f"{trained.native_frames} frames extended to {num_frames}"
    title = f"{extended}: before, during and after post-tuning"
    write_contact_sheet(drawn["grid"], blocks, config.grid_frames, title, raft.name)
    write_preview(drawn["grid"], drawn["preview"])
    write_side_by_side(drawn["video"], blocks, config.fps)
    drawn["numbers"].write_text(numbers.model_dump_json(indent=1))
    job.progress.doing("writing the report")
    facts = _facts(job, trained)
    report = run_report(
        title,
        numbers,
        [*real, *wanted],
        _training_rows(job),
        facts,
        lineage=models_lineage(job),
    )
    drawn["report"].write_bytes(report_page(report))
    publish(job, list(drawn.values()), numbers)
    figures = {
        **_figures(numbers),
        "precision": choice.precision,
        "grid contrast": grid_contrast(blocks),
    }
    gpus = float(choice.device != "cpu")
    return Outcome(digest_of(numbers.model_dump()), FILES, figures, gpus)


@contextmanager
def _phases(job: Job) -> Iterator[tuple[list["Phase"], "ExtensionMetadata"]]:
    """The phases with their extensions on local disk, and what the last one's file says."""
    from exvideo.evaluation.samples import Phase
    from exvideo.models import read_metadata
    from exvideo.video.local_copy import local_copy

    with ExitStack() as copies:
        phases = [Phase("before", 0, None)]
        for name, file in EXTENSIONS.items():
            path = copies.enter_context(local_copy(job.inputs["post_tuned_model"].file(file)))
            metadata = read_metadata(path)
            phases.append(Phase(name, metadata.step or 0, path))
        yield phases, metadata


def drawn_with(config: EvaluationConfig, precision: str) -> dict[str, Any]:
    """What decides about a generated clip besides its model, first frame and length."""
    drawn = config.model_dump(
        mode="json",
        include={
            "sampling_steps",
            "min_guidance_scale",
            "max_guidance_scale",
            "motion_bucket_id",
            "noise_aug_strength",
            "fps",
        },
    )
    return {**drawn, "precision": precision}


def held_out_clips(preset: Preset, inputs: Mapping[str, StageInput]) -> list["Clip"]:
    """The clips that an evaluation starts from, at most `evaluation.clips`."""
    from exvideo.clips.manifest import read_clips
    from exvideo.evaluation.held_out import choose_held_out

    size = preset.clips
    main = (size.num_frames, size.height, size.width)  # what is compared must be of one shape
    candidates = read_clips(inputs["clips"].file("manifest"))
    return choose_held_out([it for it in candidates if it.shape == main], preset.evaluation.clips)


def real_clips(
    preset: Preset, inputs: Mapping[str, StageInput], folder: Path, progress: Progress
) -> list["Sample"]:
    """The held-out clips, decoded once, and with them the first frames to generate from."""
    from exvideo.clips.read import read_clip
    from exvideo.evaluation.samples import REAL, FirstFrame, Sample, read_frames, save_frames
    from exvideo.video.decoder import Decoder

    chosen = held_out_clips(preset, inputs)
    if len(chosen) < (wanted := preset.evaluation.clips):
        progress.say(f"evaluation.clips asks for {wanted}, only {len(chosen)} are held out")
    real = []
    with Decoder(preset.clips.decode_timeout_s) as decoder:
        videos = inputs["source_videos"].folder
        for clip in chosen:
            path = folder / f"real-{clip.clip_id}.npy"
            if not path.exists():
                save_frames(path, read_clip(clip, videos, decoder))
            first_frame = FirstFrame(clip.clip_id, read_frames(path)[0])
            real.append(Sample(REAL, first_frame, preset.evaluation.seeds[0], path))
    return real


def _training_rows(job: Job) -> list["Row"]:
    from exvideo.training.metrics import read_metrics
    from exvideo.video.local_copy import local_copy

    model = job.inputs["post_tuned_model"]
    if "metrics" not in model.receipt.files:
        return []
    with local_copy(model.file("metrics")) as path:
        return read_metrics(path)


def _facts(job: Job, trained: "ExtensionMetadata") -> list[tuple[str, str]]:
    """What made the clips, for the report."""
    from exvideo.code_version import code_version

    model = job.inputs["post_tuned_model"].receipt
    return [
        ("model", f"{job.preset.model.base.path}, extended"),
        ("extension", f"step {trained.step}, digest {model.digest}"),
        *((it, str(model.figures[it])) for it in MODEL_FIGURES if it in model.figures),
        ("trained on", f"latents {trained.data_digest}"),
        ("first frames from", f"clips {job.inputs['clips'].receipt.digest}"),
        ("preset", job.preset.name),
        ("code", code_version()),
    ]


def models_lineage(job: Job) -> list[tuple[str, str]]:
    """What the job's model was trained on, for a report."""
    from upath import UPath

    from exvideo.config import data_root
    from exvideo.lineage import trace_model

    model = job.inputs["post_tuned_model"].receipt
    data = model.inputs.get("latent_shards")
    return trace_model(model.digest, data, UPath(data_root(job.preset))).summary()


def publish(job: Job, files: Sequence[Path], numbers: "Numbers | None" = None) -> None:
    """Copy what was drawn to the stage's output, and to the MLflow run of the model's training.

    With `numbers`, each phase's means go beside the training's curves, at its step.
    """
    for file in files:
        write_atomically(job.output / file.name, file.read_bytes())
    job.progress.doing("logging to MLflow")
    run = _training_run(job)
    if run is None:
        return
    if numbers is not None:
        _log_means(run, numbers)
    for file in files:
        run.log_artifact(file, "evaluation", kept_at=job.output / file.name)


def _log_means(run: "TrackedRun", numbers: "Numbers") -> None:
    run.log_tags({"evaluation.protocol": numbers.protocol.digest})
    steps = {sample.phase: sample.step for sample in numbers.samples}
    for phase, means in numbers.summary.items():
        group = "evaluation_of_real_clips" if phase == "real" else "evaluation"
        found: dict[str, float | None] = {name: it.mean for name, it in means.items()}
        found |= numbers.distances(phase)
        known = {f"{group}/{name}": it for name, it in found.items() if it is not None}
        run.log_metrics([(steps[phase], known)])


def _training_run(job: Job) -> "TrackedRun | None":
    """The MLflow run of the model's training; without one, says so."""
    from exvideo.tracking import TrackedRun, tracking_uri

    run_id = job.inputs["post_tuned_model"].receipt.figures.get("mlflow_run_id")
    if run_id is None:
        job.progress.say("the model's receipt names no MLflow run: nothing is logged there")
        return None
    return TrackedRun(tracking_uri(job.preset), str(run_id))


def _figures(numbers: "Numbers") -> dict[str, Figure]:
    """Each phase's jitter, flow and camera path, for people."""
    figures: dict[str, Figure] = {
        "estimator": numbers.protocol.estimator,
        "protocol": numbers.protocol.digest,
    }
    for phase, summary in numbers.summary.items():
        for metric, unit in FIGURES.items():
            mean = summary[metric].mean  # type: ignore[index]
            if mean is not None:
                figures[f"{metric.replace('_', ' ')} {phase}{unit}"] = round(mean, 4)
    return figures


STAGE = Stage(
    name="evaluation_grid",
    version=4,
    inputs=("source_videos", "clips", "post_tuned_model"),
    sections=sections,
    run=run,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
