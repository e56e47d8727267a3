"""What a training leaves: averaged extensions, and how to load them."""

import json
from pathlib import Path

import torch

from exvideo.models import (
    ExtensionMetadata,
    extension_parameters,
    extension_state,
    save_extension,
)
from exvideo.models.extension_file import PUBLISHED_SIGMA
from exvideo.training.distributed import Ranks
from exvideo.training.job import TrainingJob
from exvideo.training.partitions import Engine, Slice, gathered, whole_tensors


def export_average(
    engine: Engine,
    average: list[Slice],
    path: Path,
    metadata: ExtensionMetadata,
    ranks: Ranks,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write an averaged extension as one file; every rank must come along."""
    unet = engine.module
    averaged: dict[str, torch.Tensor] = {}
    for name, whole in whole_tensors(engine, average):
        if ranks.first:
            averaged[name] = whole.to("cpu", dtype)
    with gathered(list(extension_parameters(unet).values())):
        if ranks.first:
            # Of the extension's tensors a few may be frozen; the file has all of them.
            state = {name: it.to(dtype) for name, it in extension_state(unet).items()}
            path.parent.mkdir(parents=True, exist_ok=True)
            save_extension(unet, path, metadata, state=state | averaged)
    torch.distributed.barrier()


def metadata_of(
    job: TrainingJob, engine: Engine, scaling_factor: float, step: int
) -> ExtensionMetadata:
    """What the extension's file says of its training after `step` steps."""
    config = engine.module.config
    released = job.training.recipe == "released"
    return ExtensionMetadata(
        base_id=config.base_id,
        num_frames=config.num_frames,
        native_frames=config.extension["native_frames"],
        scaling_factor=scaling_factor,
        sigma=PUBLISHED_SIGMA if released else job.training.sigma.model_dump(),
        step=step,
        data_digest=job.data_digest,
    )


def describe(job: TrainingJob, engine: Engine) -> None:
    """Write model.json."""
    description = {
        "base": job.model.base.model_dump(),
        "base_id": engine.module.config.base_id,
        "num_frames": job.num_frames,
        "extension": job.extension.name,
        "averages": [path.name for path in job.averages.values()],
        "load": "exvideo.models: load_extension(load_unet(base), extension)",
    }
    job.description.write_text(json.dumps(description, indent=2))
