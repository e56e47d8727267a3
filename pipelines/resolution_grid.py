"""Clips of the post-tuned model at several frame sizes, from the same first frames.

python -m pipelines.resolution_grid --preset tiny
"""

import sys
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from exvideo.config import Preset
from exvideo.errors import InputError
from exvideo.receipt import Figure, digest_of
from pipelines.evaluation_grid import drawn_with, held_out_clips, publish
from pipelines.stage import Job, Outcome, Stage, main

if TYPE_CHECKING:
    from pathlib import Path

    from exvideo.evaluation.film_strips import Scene
    from exvideo.evaluation.flow import Raft
    from exvideo.evaluation.networks import Networks
    from exvideo.evaluation.numbers import Numbers
    from exvideo.evaluation.samples import Sample

FILES = {
    "grid": "resolutions.png",
    "preview": "resolutions.jpg",
    "video": "resolutions.mp4",
    "numbers": "resolutions.json",
}


def sections(preset: Preset) -> Any:
    evaluation = preset.evaluation.model_dump(exclude={"other_models"})
    return [evaluation, preset.model, preset.clips.num_frames]


def run(job: Job) -> Outcome:
    """Generate what is missing at each size, measure it, draw the figure, log it."""
    if not job.preset.evaluation.resolutions:
        raise InputError("evaluation.resolutions names no frame size to generate at")
    job.progress.doing("loading libraries")
    from exvideo.evaluation.contact_sheet import write_preview
    from exvideo.evaluation.film_strips import write_film_strips
    from exvideo.evaluation.flow import load_raft
    from exvideo.evaluation.networks import load_networks
    from exvideo.evaluation.playing_strips import write_playing_strips
    from exvideo.generation import best_device
    from exvideo.models import read_metadata
    from exvideo.precision import choose_precision
    from exvideo.video.local_copy import local_copy

    config = job.preset.evaluation
    choice = choose_precision(config.precision, best_device())
    job.progress.say(f"sampling in {choice.reason}")
    raft = load_raft(config.flow, best_device())
    networks = load_networks(config.networks, best_device())
    with local_copy(job.inputs["post_tuned_model"].file("extension")) as extension:
        trained = read_metadata(extension)
        samples = _samples(job, extension, trained.step or 0)
        _generate(job, samples, extension, choice.precision)
    numbers, scenes = _measured(
        job, samples, raft, networks, trained.native_frames, choice.precision
    )

    job.progress.doing("drawing the figure and the video")
    drawn = {name: job.scratch / file for name, file in FILES.items()}
    title = (
        f"{trained.native_frames} frames extended to {job.preset.clips.num_frames}: "
        "adaptive resolutions and aspect ratios"
    )
    sizes = ", ".join(map(str, config.resolutions))
    subtitle = f"From the same first frames and the same seed, at {sizes} pixels."
    write_film_strips(drawn["grid"], scenes, config.grid_frames, title, subtitle, raft.name)
    write_preview(drawn["grid"], drawn["preview"])
    write_playing_strips(drawn["video"], scenes)
    drawn["numbers"].write_text(numbers.model_dump_json(indent=1))
    publish(job, list(drawn.values()))
    gpus = float(choice.device != "cpu")
    return Outcome(digest_of(numbers.model_dump()), FILES, _figures(numbers), gpus)


def _samples(job: Job, extension: "Path", step: int) -> list["Sample"]:
    """Size by size, a clip of each first frame, which is cut from the video for each size."""
    from PIL import Image

    from exvideo.clips.read import read_first_frame
    from exvideo.evaluation.first_frames import fitted
    from exvideo.evaluation.samples import FirstFrame, Phase, samples
    from exvideo.video.decoder import Decoder

    config, videos = job.preset.evaluation, job.inputs["source_videos"].folder
    clips = held_out_clips(job.preset, job.inputs)[: config.grid_clips]
    with Decoder(job.preset.clips.decode_timeout_s) as decoder:
        pictures = {
            it.clip_id: Image.fromarray(read_first_frame(it, videos, decoder)) for it in clips
        }
    found: list[Sample] = []
    for size in config.resolutions:
        given = [FirstFrame(it, fitted(pictures[it], size.height, size.width)) for it in pictures]
        phase = Phase(str(size), step, extension)
        found += samples(job.scratch / "clips", [phase], given, config.seeds[:1])
    return found


def _generate(job: Job, wanted: Sequence["Sample"], extension: "Path", precision: Any) -> None:
    from exvideo.evaluation.samples import generate_missing
    from exvideo.generation import extended_pipeline, save_memory

    num_frames = job.preset.clips.num_frames

    @cache  # one for all sizes
    def pipeline() -> Any:
        model = job.preset.model
        loaded = extended_pipeline(model, num_frames, extension, precision=precision)
        save_memory(loaded)  # for the largest size
        return loaded

    config = job.preset.evaluation
    generate_missing(wanted, lambda _: pipeline(), num_frames, config, job.progress)


def _measured(
    job: Job,
    samples: Sequence["Sample"],
    raft: "Raft",
    networks: "Networks",
    native_frames: int,
    precision: str,
) -> tuple["Numbers", list["Scene"]]:
    """All numbers, a size a phase, and what the figure shows, a first frame a scene."""
    from exvideo.evaluation.evaluate import measured
    from exvideo.evaluation.film_strips import Scene, Strip, shown_scenes
    from exvideo.evaluation.numbers import summarise
    from exvideo.evaluation.protocol import Protocol
    from exvideo.models.positions import walk_period

    config = job.preset.evaluation
    period = walk_period(native_frames, job.preset.model.table_init)
    count = shown_scenes(config.grid_clips, len(config.resolutions))
    shown = {
        it: list[Strip]() for it in list({it.first_frame.clip_id: 0 for it in samples})[:count]
    }
    found = []
    for it in measured(
        samples, raft, job.progress, fps=config.fps, period=period, networks=networks
    ):
        found.append(it.numbers)
        if (clip := it.numbers.clip_id) in shown:
            values = it.numbers.values
            strip = Strip(it.numbers.phase, it.frames, it.flow.raft, config.fps, values)
            shown[clip].append(strip)
    numbers = summarise(
        found,
        {},
        protocol=Protocol.of(
            raft,
            drawn_with(config, precision),
            [it.first_frame.image for it in samples],
            networks,
        ),
        num_frames=job.preset.clips.num_frames,
        fps=config.fps,
        period=period,
        networks=networks,
    )
    seed = config.seeds[0]
    return numbers, [Scene(f"clip {clip}, seed {seed}", it) for clip, it in shown.items()]


def _figures(numbers: "Numbers") -> dict[str, Figure]:
    figures: dict[str, Figure] = {
        "estimator": numbers.protocol.estimator,
        "protocol": numbers.protocol.digest,
    }
    for size, summary in numbers.summary.items():
        jitter = summary["jitter"].mean
        if jitter is not None:
            figures[f"jitter at {size}"] = round(jitter, 4)
    return figures


STAGE = Stage(
    name="resolution_grid",
    version=1,
    inputs=("source_videos", "clips", "post_tuned_model"),
    sections=sections,
    run=run,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
