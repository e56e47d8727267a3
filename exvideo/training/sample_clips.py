"""Clips that the averaged weights make of held-out first frames while they are trained."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from exvideo.evaluation.figure import cell_size, full_colour, resized, shown_frames, time_slice
from exvideo.evaluation.flow import dis_flow
from exvideo.evaluation.flow_colours import flow_colours
from exvideo.latents.decode import decoded
from exvideo.models.base import load_vae
from exvideo.training.distributed import Ranks, whole_clip
from exvideo.training.engine import Engine
from exvideo.training.job import TrainingJob
from exvideo.training.objective import Draw, make_batch
from exvideo.training.sampler import noise_levels, sample_latents
from exvideo.training.samples import Clip, Clips
from exvideo.training.validation import Interrupted
from exvideo.video.write import write_mp4

DECODED_TOGETHER = 8
"""Frames that pass through the VAE's decoder at a time."""

COLUMNS = 8
CELL = 160
"""A frame's longer side in the picture, px."""


def write_sample_clips(
    engine: Engine,
    job: TrainingJob,
    clips: Clips,
    ranks: Ranks,
    step: int,
    stop: Callable[[], bool],
) -> None:
    """Draw `training.sample_clips` clips, evenly spread, and write each as a picture and an MP4.

    Every rank must ask; those that share a clip's frames draw it together. Each clip begins with
    the same noise at every step of the training.

    Raises `Interrupted` soon after `stop()` holds on any rank.
    """
    config = job.training
    count = min(config.sample_clips, len(clips))
    sigmas, scale = noise_levels(job.model.base, job.sampling_steps)

    def on_step() -> None:
        if ranks.total(stop())[0]:
            raise Interrupted

    for start in range(0, count, ranks.clip_groups):
        number = start + ranks.clip_group
        # A group without a clip of its own goes along, since ZeRO-3 gathers weights from all.
        clip = clips[min(number, count - 1) * len(clips) // count]
        batch = make_batch([clip], [_begin(clip)], clips.scaling_factor)
        frames = len(clip["latents"])
        own = ranks.own_frames(frames)
        guidance = torch.linspace(*job.guidance, frames)[own]
        engine.eval()
        try:
            conditions = batch.frames(own).to(ranks.device)
            latents = sample_latents(engine, conditions, sigmas, scale, guidance, on_step)
        finally:
            engine.train()
        latents = whole_clip(latents, ranks)
        if number < count and ranks.rank % ranks.per_clip == 0:
            _write(job, latents[0], clip, clips.scaling_factor, step)


def _begin(clip: Clip) -> Draw:
    shape = clip["latents"].shape
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return Draw(sigma=1.0, augmentation=0, drop_condition=False, noise=noise)


def _write(job: TrainingJob, latents: Tensor, clip: Clip, scaling_factor: float, step: int) -> None:
    vae: Any = load_vae(job.model.base)
    vae.to(latents.device)
    made = decoded(vae, latents / scaling_factor, DECODED_TOGETHER)
    real = decoded(vae, clip["latents"].to(latents), DECODED_TOGETHER)
    path = job.sample(step, clip["clip_id"], ".png")
    path.parent.mkdir(exist_ok=True)
    # The MP4 first: whoever waits for the picture finds both.
    write_mp4(path.with_suffix(".mp4"), made, float(clip["fps"]))
    part = path.with_suffix(".part")
    Image.fromarray(picture(real, made)).save(part, "PNG")
    part.replace(path)


def picture(real: np.ndarray, made: np.ndarray) -> np.ndarray:
    """The held-out clip and its flow, above the generated one and its flow, uint8 [H, W, 3].

    Flow is OpenCV's DIS, both on one scale of colours; at the right a column over time.
    """
    flows = [dis_flow(frames) for frames in (real, made)]
    scale = full_colour(flows)
    height, width = cell_size(made, CELL)
    rows = []
    for frames, flow in zip((real, made), flows, strict=True):
        shown = shown_frames(len(frames), min(COLUMNS, len(frames) - 1))
        pictures = [resized(frames[it], height, width) for it in shown]
        colours = [resized(flow_colours(flow[it], scale), height, width) for it in shown]
        slice_ = time_slice(frames, height, 2 * width)
        rows += [np.hstack([*pictures, slice_]), np.hstack([*colours, np.full_like(slice_, 255)])]
    return np.vstack(rows)
