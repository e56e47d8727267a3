"""The post-tuned model beside training-free baselines and any folder of other models' videos.

python -m pipelines.comparison_grid --preset tiny --set evaluation.other_models=museum
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exvideo.config import Preset
from exvideo.receipt import Figure, digest_of
from exvideo.sources.local import local_fingerprint
from pipelines.evaluate import (
    MODEL,
    Evaluation,
    load_precision,
    pipeline_loader,
    wanted_clips,
    write_clips,
)
from pipelines.evaluation_grid import drawn_with, models_lineage, publish, real_clips
from pipelines.generate_arguments import BASELINES
from pipelines.measured_folders import (
    files_by_name,
    found_folders,
    measured_folders,
    write_figure,
    write_folder_report,
)
from pipelines.named_model import NamedModel, native_frames
from pipelines.stage import Job, Outcome, Stage, main

if TYPE_CHECKING:
    from exvideo.evaluation.folder import FolderNumbers

FILES = {
    "grid": "comparison.png",
    "preview": "comparison.jpg",
    "video": "comparison.mp4",
    "numbers": "comparison.json",
    "report": "comparison.html",
}

CRF = 2
"""Nearly lossless: what shows no loss to the eye has flickering blocks to the flow."""

MOST_FRAMES = 128
"""Of others' videos that are measured, as `exvideo measure` does."""


def sections(preset: Preset) -> Any:
    evaluation = preset.evaluation.model_dump(exclude={"resolutions"})
    return [evaluation, preset.model, preset.clips.num_frames]


def fingerprint(preset: Preset) -> str:
    """Other models' videos may come and go."""
    others = preset.evaluation.other_models
    return local_fingerprint([others]) if others else ""


def run(job: Job) -> Outcome:
    """Generate what is missing, measure all videos alike, draw the figure and the report."""
    job.progress.doing("loading libraries")
    from exvideo.evaluation.contact_sheet import write_preview
    from exvideo.evaluation.flow import load_raft
    from exvideo.evaluation.folder import compare, write_numbers
    from exvideo.evaluation.networks import load_networks
    from exvideo.generation import best_device
    from exvideo.models.positions import walk_period
    from exvideo.video.local_copy import local_copy

    preset = job.preset
    others = preset.evaluation.other_models
    museum, failed = found_folders([others], models=True) if others else ({}, [])
    raft = load_raft(preset.evaluation.flow, best_device())
    networks = load_networks(preset.evaluation.networks, best_device())
    with local_copy(job.inputs["post_tuned_model"].file("extension")) as extension:
        model = NamedModel(str(extension), preset.model.base, extension)
        own = _generated(job, Evaluation(model, BASELINES, preset, job.scratch))
        native = native_frames(model)
    found: Mapping[str, Sequence[Path]] = {**own, **museum}
    measured, unmeasured = measured_folders(
        found,
        raft,
        networks,
        job.progress,
        needed=MODEL,
        num_frames=max(preset.clips.num_frames, MOST_FRAMES),
        period=walk_period(native, preset.model.table_init),
        timeout_s=preset.clips.decode_timeout_s,
    )
    for it in [*failed, *unmeasured]:
        job.progress.say(f"left out: {it}")
    first, *compared = measured
    numbers = first.model_copy(update={"against": [compare(first, it) for it in compared]})

    job.progress.doing("drawing the figure and the report")
    drawn = {name: job.scratch / file for name, file in FILES.items()}
    files = files_by_name([found[it.folder] for it in measured], len(measured))
    title = f"{native} frames extended to {preset.clips.num_frames}: comparison with other models"
    write_figure(drawn["grid"], numbers, files, raft, preset, title)
    write_preview(drawn["grid"], drawn["preview"])
    write_numbers(drawn["numbers"], numbers)
    timeout_s = preset.clips.decode_timeout_s
    write_folder_report(drawn["report"], numbers, files, timeout_s, models_lineage(job))
    publish(job, list(drawn.values()))
    gpus = float(best_device().type != "cpu")
    return Outcome(digest_of(numbers.model_dump()), FILES, _figures(numbers), gpus)


def _generated(job: Job, asked: Evaluation) -> dict[str, Sequence[Path]]:
    """The model's and the baselines' videos, by group."""
    from exvideo.evaluation.samples import generate_missing

    config = job.preset.evaluation
    real = real_clips(job.preset, job.inputs, job.scratch / "frames", job.progress)
    sampling = drawn_with(config, load_precision())
    wanted = wanted_clips(asked, [it.first_frame for it in real], sampling)
    num_frames = job.preset.clips.num_frames
    generate_missing(wanted, pipeline_loader(asked), num_frames, config, job.progress)
    job.progress.doing("writing the clips")
    write_clips(asked, wanted, CRF)
    groups = (MODEL, *asked.baselines)
    return {it: sorted((job.scratch / "clips" / it).glob("*.mp4")) for it in groups}


def _figures(numbers: "FolderNumbers") -> dict[str, Figure]:
    figures: dict[str, Figure] = {
        "estimator": numbers.protocol.estimator,
        "protocol": numbers.protocol.digest,
    }
    for it in [numbers, *(it.other for it in numbers.against)]:
        jitter = it.summary["jitter"].mean
        if jitter is not None:
            figures[f"jitter of {Path(it.folder).name}"] = round(jitter, 4)
    return figures


STAGE = Stage(
    name="comparison_grid",
    version=1,
    inputs=("source_videos", "clips", "post_tuned_model"),
    sections=sections,
    run=run,
    fingerprint=fingerprint,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
