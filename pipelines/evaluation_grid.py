"""Clips generated before, in the middle of and after post-tuning, with RAFT's flow and numbers.

python -m pipelines.evaluation_grid --preset tiny
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exvideo.config import EvaluationConfig, Preset
from exvideo.receipt import Figure, digest_of, write_atomically
from pipelines.stage import Job, Outcome, Stage, main

if TYPE_CHECKING:
    from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import (
        StableVideoDiffusionPipeline,
    )

    from exvideo.evaluation.numbers import Numbers
    from exvideo.evaluation.samples import Phase, Sample

EXTENSIONS = {"middle": "middle", "after": "extension"}
"""Each phase's file of the trained model; `before` has none."""

FIGURES = {
    "jitter": "",
    "flow_speed": " (pixels a frame)",
    "camera_jitter": "",
    "path_straightness": "",
}
"""Metrics that the receipt shows, with their units."""

FILES = {
    "grid": "grid.png",
    "preview": "grid.jpg",
    "video": "grid.mp4",
    "numbers": "numbers.json",
}


def sections(preset: Preset) -> Any:
    # Clips and weights come in through the inputs' digests.
    return [preset.evaluation, preset.model, preset.clips.num_frames]


def run(job: Job) -> Outcome:
    """Generate what is missing, measure it, draw the grid and log it with the training."""
    job.progress.doing("loading libraries")
    from exvideo.evaluation.contact_sheet import write_contact_sheet, write_preview
    from exvideo.evaluation.evaluate import evaluate, grid_contrast
    from exvideo.evaluation.flow import load_raft
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

    def pipeline(phase: "Phase") -> "StableVideoDiffusionPipeline":
        return extended_pipeline(
            preset.model, num_frames, phase.extension, precision=choice.precision
        )

    job.progress.doing("reading the held-out clips")
    with _phases(job) as (phases, native_frames):
        folder = job.scratch / "clips"
        real = _real_clips(job, folder)
        wanted = list(samples(folder, phases, [it.first_frame for it in real], config.seeds))
        generate_missing(wanted, pipeline, num_frames, config, job.progress)
    numbers, blocks = evaluate(
        [*real, *wanted],
        raft,
        config.grid_clips,
        job.progress,
        fps=config.fps,
        period=walk_period(native_frames, preset.model.table_init),
        sampling=_sampling(config, choice.precision),
    )

    job.progress.doing("drawing the grid and the video")
    drawn = {name: job.scratch / file for name, file in FILES.items()}
    title = f"{native_frames} frames extended to {num_frames}: before, during and after post-tuning"
    write_contact_sheet(drawn["grid"], blocks, config.grid_frames, title, raft.name)
    write_preview(drawn["grid"], drawn["preview"])
    write_side_by_side(drawn["video"], blocks, config.fps)
    drawn["numbers"].write_text(numbers.model_dump_json(indent=1))
    for name, path in drawn.items():
        write_atomically(job.output / FILES[name], path.read_bytes())
    job.progress.doing("logging to MLflow")
    _log(job, numbers, list(drawn.values()))
    figures = {
        **_figures(numbers),
        "precision": choice.precision,
        "grid contrast": grid_contrast(blocks),
    }
    return Outcome(digest_of(numbers.model_dump()), FILES, figures)


@contextmanager
def _phases(job: Job) -> Iterator[tuple[list["Phase"], int]]:
    """The phases with their extensions on local disk, and the base's native length."""
    from exvideo.evaluation.samples import Phase
    from exvideo.models import read_metadata
    from exvideo.video.local_copy import local_copy

    with ExitStack() as copies:
        phases = [Phase("before", 0, None)]
        for name, file in EXTENSIONS.items():
            path = copies.enter_context(local_copy(job.inputs["post_tuned_model"].file(file)))
            metadata = read_metadata(path)
            phases.append(Phase(name, metadata.step or 0, path))
        yield phases, metadata.native_frames


def _sampling(config: EvaluationConfig, precision: str) -> dict[str, Any]:
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


def _real_clips(job: Job, folder: Path) -> list["Sample"]:
    """The held-out clips, decoded once, and with them the first frames to generate from."""
    from exvideo.clips.manifest import read_clips
    from exvideo.clips.read import read_clip
    from exvideo.evaluation.held_out import choose_held_out
    from exvideo.evaluation.samples import REAL, FirstFrame, Sample, read_frames, save_frames
    from exvideo.video.decoder import Decoder

    wanted = job.preset.evaluation.clips
    chosen = choose_held_out(read_clips(job.inputs["clips"].file("manifest")), wanted)
    if len(chosen) < wanted:
        job.progress.say(f"evaluation.clips asks for {wanted}, only {len(chosen)} are held out")
    real = []
    with Decoder(job.preset.clips.decode_timeout_s) as decoder:
        videos = job.inputs["source_videos"].folder
        for clip in chosen:
            path = folder / f"real-{clip.clip_id}.npy"
            if not path.exists():
                save_frames(path, read_clip(clip, videos, decoder))
            first_frame = FirstFrame(clip.clip_id, read_frames(path)[0])
            real.append(Sample(REAL, first_frame, job.preset.evaluation.seeds[0], path))
    return real


def _log(job: Job, numbers: "Numbers", files: list[Path]) -> None:
    """Beside the training's curves: each phase's means at its step, and the files."""
    from exvideo.tracking import TrackedRun, tracking_uri

    run_id = job.inputs["post_tuned_model"].receipt.figures.get("mlflow_run_id")
    if run_id is None:
        job.progress.say("the model's receipt names no MLflow run: nothing is logged there")
        return
    run = TrackedRun(tracking_uri(job.preset), str(run_id))
    run.log_tags({"evaluation.protocol": numbers.protocol.digest})
    steps = {sample.phase: sample.step for sample in numbers.samples}
    for phase, means in numbers.summary.items():
        group = "evaluation_of_real_clips" if phase == "real" else "evaluation"
        known = {name: it.mean for name, it in means.items() if it.mean is not None}
        rows = [(steps[phase], {f"{group}/{name}": mean for name, mean in known.items()})]
        run.log_metrics(rows)
    for file in files:
        run.log_artifact(file, "evaluation")


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
    version=3,
    inputs=("source_videos", "clips", "post_tuned_model"),
    sections=sections,
    run=run,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
