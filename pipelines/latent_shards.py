"""Stage 3: kept clips as latents and embeddings in Parquet shards, written by Ray workers.

python -m pipelines.latent_shards --preset tiny --set latents.workers=4
"""

import sys
from typing import TYPE_CHECKING, Any

from exvideo.config import Preset
from exvideo.config.base_folder import check_size, frame_unit_of
from exvideo.config.base_weights import ENCODERS, base_id, folder
from exvideo.errors import InputError
from exvideo.receipt import Figure
from pipelines.base_digest import base_digest
from pipelines.stage import Job, Outcome, Stage, main

if TYPE_CHECKING:
    from exvideo.latents.manifest import Encoding
    from exvideo.latents.speed import Speed

SPEED = ("clips a second", "video-hours a day", "encoders' busy share")
"""Figures that a training's MLflow run shows beside its data, too."""


def run(job: Job) -> Outcome:
    """Encode the kept clips that have no latents yet and write the manifest of all."""
    job.progress.doing("loading libraries")
    from exvideo.clips.manifest import read_clips
    from exvideo.latents.manifest import LatentClip, manifest_of, write_manifest
    from exvideo.latents.plan import plan_shards
    from exvideo.latents.shard import finished_shards
    from exvideo.latents.shard_worker import EncodingTask, ShardWorker
    from exvideo.latents.workers import write_shards

    settings, base = job.preset.latents, job.preset.model.base
    kept = [it for it in read_clips(job.inputs["clips"].file("manifest")) if it.status == "kept"]
    if not kept:
        raise InputError(
            f"{job.inputs['clips'].folder}: no clip was kept; its manifest has the reasons"
        )
    # Of a base that only the hub knows, this could not be checked with the preset.
    for size in job.preset.clips.shapes:
        check_size(size.height, size.width, frame_unit_of(folder(base)))
    encoding = _encoding(job)
    finished = finished_shards(job.output, encoding)
    plans = plan_shards(kept, finished, settings.clips_per_shard, encoding)
    job.progress.say(f"{len(kept)} clips; {len(plans)} shards to write, {len(finished)} finished")
    task = EncodingTask(
        base=base,
        encoding=encoding,
        sources=job.inputs["source_videos"].folder,
        output=job.output,
        decode_timeout_s=job.preset.clips.decode_timeout_s,
        device="cuda" if settings.gpus_per_worker else "cpu",
    )
    workers, gpus = settings.workers, settings.gpus_per_worker
    job.progress.doing("starting Ray and its workers")
    speed = write_shards(plans, ShardWorker, task, workers, gpus, job.progress)
    finished = finished_shards(job.output, encoding)
    job.progress.doing("writing the manifest")
    clips = [LatentClip.of(clip) for clip in kept]
    manifest = manifest_of(clips, finished, job.inputs["clips"].receipt.digest)
    name, digest = write_manifest(job.output, manifest)
    figures = {**_figures(manifest, written=len(plans)), **_speed(speed)}
    return Outcome(digest, {"manifest": name}, figures, gpus=workers * gpus)


def _encoding(job: Job) -> "Encoding":
    """How rows are encoded; under `precision: auto` as the rows that are there already."""
    from exvideo.latents.manifest import Encoding
    from exvideo.latents.preprocessing import preprocessing_id
    from exvideo.latents.shard import finished_shards
    from exvideo.latents.workers import choose_workers_precision

    settings = job.preset.latents
    encoding = Encoding(
        base_id=base_id(job.preset.model.base, ENCODERS),
        preprocessing=preprocessing_id(job.preset.model.base),
        dtype="float32",
        frames_per_batch=settings.frames_per_batch,
        noise_augmentations=settings.noise_augmentations,
        log_variance=settings.log_variance,
    )
    if settings.precision == "auto":
        for dtype in ("float32", "bfloat16"):
            begun = encoding.model_copy(update={"dtype": dtype})
            if finished_shards(job.output, begun):
                job.progress.say(f"encoding in {dtype}, as the shards that are finished")
                return begun
    choice = choose_workers_precision(settings.precision, settings.gpus_per_worker)
    job.progress.say(f"encoding in {choice.reason}")
    return encoding.model_copy(update={"dtype": choice.precision})


def sections(preset: Preset) -> Any:
    """What rows and shards depend on besides the clips, whose ids tell their sizes."""
    return {
        "base": preset.model.base.model_dump(),
        "latents": preset.latents.model_dump(exclude={"workers", "gpus_per_worker"}),
    }


def fingerprint(preset: Preset) -> str:
    """The files of a local base model's encoders."""
    return base_digest(preset, ("vae", "image_encoder", "feature_extractor"))


def _figures(manifest: Any, written: int) -> dict[str, Figure]:
    return {
        "clips": len(manifest.clips),
        "training clips": sum(clip.split == "train" for clip in manifest.clips),
        "missing clips": len(manifest.missing),
        **_by_shape(manifest),
        "shards": len(manifest.shards),
        "shards written now": written,
        "megabytes": round(sum(shard.bytes for shard in manifest.shards) / 1e6, 1),
        "latent mean": manifest.statistics.mean,
        "latent standard deviation": manifest.statistics.std,
        "latent absolute maximum": manifest.statistics.absmax,
        "encoders": manifest.encoding.base_id,
        "precision": manifest.encoding.dtype,
    }


def _speed(speed: "Speed | None") -> dict[str, Figure]:
    """Of the clips that this run has encoded."""
    if speed is None:
        return {}
    figures = (speed.clips_per_second, speed.video_hours_a_day, speed.busy)
    return {name: float(f"{it:.4g}") for name, it in zip(SPEED, figures, strict=True)}


def _by_shape(manifest: Any) -> dict[str, Figure]:
    if len(manifest.buckets) == 1:
        return {}
    return {
        "clips of latents " + "x".join(map(str, bucket.shapes.latents)): bucket.clips
        for bucket in manifest.buckets
    }


STAGE = Stage(
    name="latent_shards",
    version=4,
    inputs=("source_videos", "clips"),
    sections=sections,
    run=run,
    grows=True,
    fingerprint=fingerprint,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
