"""What a training starts from: its clips, and the extended base."""

from typing import Any

import torch
from diffusers.models.modeling_utils import ModelMixin
from upath import UPath

from exvideo.errors import InputError
from exvideo.latents.dataset import LatentClips
from exvideo.latents.manifest import read_manifest
from exvideo.models import (
    checkpoint_activations,
    configure_attention,
    extend,
    freeze_base,
    load_extension,
    load_unet,
)
from exvideo.training.job import TrainingJob


def load_clips(job: TrainingJob) -> tuple[LatentClips, LatentClips]:
    """The clips to train on and those held out."""
    path = UPath(job.latents)
    manifest = read_manifest(path)
    frames = max(bucket.shapes.latents[0] for bucket in manifest.buckets if bucket.clips)
    if frames != job.num_frames:
        raise InputError(f"{path} has clips of {frames} frames, the job asks for {job.num_frames}")
    clips = LatentClips(path.parent, manifest, "train")
    held_out = LatentClips(path.parent, manifest, "held_out")
    if not len(clips) or not len(held_out):
        raise InputError(
            f"{path} has {len(clips)} clips to train on and {len(held_out)} held out to validate "
            "on: change clips.held_out_videos, or add videos"
        )
    return clips, held_out


def load_extended_unet(job: TrainingJob) -> ModelMixin:
    """The base in float32, extended, with its attention and activations as the job asks.

    The extension is as another training left it where the job starts from one.
    """
    # NaN gradients are reported of cuDNN's attention (pytorch #196678, cudnn-frontend #1072);
    # without it, torch takes its flash kernel in half precision.
    torch.backends.cuda.enable_cudnn_sdp(False)
    unet: Any = load_unet(job.model.base)
    extend(unet, job.num_frames, **job.model.extension())
    if job.starts_from is not None:
        load_extension(unet, job.start)
    freeze_base(unet, job.training.parts)
    configure_attention(unet, job.training.attention)
    checkpoint_activations(unet, job.training.activation_checkpointing)
    return unet.train()
