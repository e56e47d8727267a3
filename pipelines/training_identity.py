"""What makes a training the one that it is: with all of it equal, it goes on where it was."""

from typing import Any

from exvideo.config import Preset
from exvideo.receipt import digest_of, read_receipt, stage_folder
from pipelines.base_digest import base_digest
from pipelines.training_start import started_from

INDIFFERENT = {
    "ranks",
    "nodes",
    "micro_batch_size",
    "frame_ranks",
    "zero_stage",
    "offload_optimizer",
    "activation_checkpointing",
    "activation_gib",
    "attention",
    "compile",
    "log_every",
    "validate_every",
    "validation_clips",
    "sample_clips",
    "checkpoint_every",
    "keep_checkpoints",
    "copy_checkpoints",
    "loader_workers",
}
"""Training settings that leave the weights as they are, but for rounding."""


def sections(preset: Preset) -> Any:
    return [*work(preset), preset.training.steps]


def work(preset: Preset) -> list[Any]:
    """What a step computes: a training goes on from its checkpoint when all else changes."""
    # A cosine ends with the steps, so that each of them is another one with more.
    ends = {"steps"} if preset.training.schedule == "constant" else set()
    # Without what stands at its default: an option that comes later leaves trainings of now alone.
    # What it starts from is a matter of the world outside, which the registry belongs to.
    apart = INDIFFERENT | ends | {"start"}
    training = preset.training.model_dump(exclude=apart, exclude_defaults=True)
    return [training, preset.model.model_dump(exclude_defaults=True), preset.clips.num_frames]


def fingerprint(preset: Preset) -> str:
    """The files of a local base model's U-Net, and the extension that is gone on from."""
    base = base_digest(preset, ("unet",))
    latents = read_receipt(stage_folder(preset, "latent_shards"))
    start = started_from(preset, latents.digest) if latents else None
    return base if start is None else digest_of([base, start.sha256])
