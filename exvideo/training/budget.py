"""What a post-tuning takes, found with tensors that have a shape but no memory."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from exvideo.config import ModelConfig, Preset, TrainingConfig
from exvideo.config.base_folder import VAE_CONFIG, known_folder
from exvideo.errors import InputError
from exvideo.models import checkpoint_activations, trainable_parameters
from exvideo.training.ema import POWER_WIDTHS
from exvideo.training.kept_regions import kept_regions
from exvideo.training.without_memory import LiveBytes, inputs_without_memory, unet_without_memory

Latents = tuple[int, int, int]
"""Frames, height and width of a clip's."""

FLOAT32, BFLOAT16 = 4, 2
"""Bytes."""


@dataclass(frozen=True)
class Budget:
    """One rank's share of a step; memory in bytes."""

    parameters: int
    trained: int
    forward_flops: float
    step_flops: float
    """Forward and backward of all micro-batches, with what is computed again."""
    weights: int
    gradients: int
    optimizer: int
    """Float32 weights and Adam's two moments."""
    averages: int
    buckets: int
    """What ZeRO sends at a time."""
    kept: int
    """Activations that the forward pass leaves for the backward pass."""
    working: int
    """What the backward pass adds to them where it takes most."""
    host: int
    """On the host: the copy that a checkpoint is written from, and what is offloaded."""

    @property
    def peak(self) -> int:
        held = self.weights + self.gradients + self.optimizer + self.averages + self.buckets
        return held + self.kept + self.working


def step_budget(preset: Preset) -> Budget:
    """The budget of a preset's step on one of its ranks.

    Raises `InputError` where the base's configuration is not at hand.
    """
    training, clips = preset.training, preset.clips
    base = known_folder(preset.model.base)
    if base is None:
        raise InputError(
            f"model.base.path: the configuration of {preset.model.base.path} is not known here: "
            "name a local folder"
        )
    levels = len(json.loads((base / VAE_CONFIG).read_text())["block_out_channels"])
    sizes = [(it.num_frames, it.height, it.width) for it in clips.shapes]
    frames, height, width = max(sizes, key=math.prod)
    shape = (frames, height >> (levels - 1), width >> (levels - 1))
    unet = unet_without_memory(base, preset.model, training, clips.num_frames)
    inputs = inputs_without_memory(unet, training, shape)
    keep = kept_regions(unet, inputs, training.activation_gib)
    checkpoint_activations(unet, training.activation_checkpointing, keep)
    forward, whole = _flops(unet, inputs)
    kept, working = _memory(unet, inputs)
    parameters = sum(it.numel() for it in unet.parameters())
    trained = sum(it.numel() for it in trainable_parameters(unet).values())
    size = FLOAT32 if training.precision == "float32" else BFLOAT16
    stage, ranks = training.zero_stage, training.ranks
    summed = FLOAT32 if training.accumulate > 1 else size
    averages = 1 + len(training.more_ema_decays)
    averages += len(POWER_WIDTHS) if training.snapshot_every is not None else 0
    bucket = min(50_000_000, trained)
    held = trained * FLOAT32 // (ranks if stage > 0 else 1)
    state = {"optimizer": 3 * held, "averages": averages * held}
    offloaded = sum(state.values()) if training.offload_optimizer else 0
    if offloaded:
        state = dict.fromkeys(state, 0)
    return Budget(
        parameters=parameters,
        trained=trained,
        forward_flops=forward * training.accumulate,
        step_flops=whole * training.accumulate,
        weights=parameters * size // (ranks if stage == 3 else 1),
        gradients=trained * summed // (ranks if stage > 1 else 1),
        **state,
        buckets=2 * bucket * size if ranks > 1 else 0,
        kept=kept,
        working=working,
        host=(3 + averages) * held + offloaded,
    )


@dataclass(frozen=True)
class StepPlan:
    """How a rank does a step."""

    keep: list[str]
    """The regions that keep their activations (`exvideo.training.kept_regions`)."""
    flops: float
    """Of a step, with what is computed again. Counting in a real step would change its kernels, and
    so its rounding."""


def step_plan(
    base: Path, model: ModelConfig, training: TrainingConfig, latents: Latents
) -> StepPlan:
    """The same on every rank.

    Args:
        base: the folder of the base's configurations.
        latents: a whole clip's, whatever the number of ranks that share it.
    """
    unet = unet_without_memory(base, model, training, latents[0])
    inputs = inputs_without_memory(unet, training, latents)
    keep = kept_regions(unet, inputs, training.activation_gib)
    checkpoint_activations(unet, training.activation_checkpointing, keep)
    _, whole = _flops(unet, inputs)
    return StepPlan(keep, whole * training.accumulate)


def plan_for_shapes(
    base: Path, model: ModelConfig, training: TrainingConfig, shapes: Mapping[Latents, int]
) -> StepPlan:
    """`step_plan` for a data set of several shapes, each with its clips.

    What is kept is what the largest has room for; FLOPs are a step's on average.
    """
    plans = {latents: step_plan(base, model, training, latents) for latents in shapes}
    flops = sum(plans[latents].flops * clips for latents, clips in shapes.items())
    return StepPlan(plans[max(shapes, key=math.prod)].keep, flops / sum(shapes.values()))


def _flops(unet: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[float, float]:
    """Floating point operations of the forward pass, and of both."""
    with FlopCounterMode(display=False) as counter:
        output = unet(*inputs).sample
        forward = counter.get_total_flops()
        output.float().square().mean().backward()
    return forward, counter.get_total_flops()


def _memory(unet: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[int, int]:
    """Bytes kept by the forward pass, and what the backward pass adds to them at its peak."""
    for parameter in trainable_parameters(unet).values():
        parameter.grad = None
        # ZeRO takes each gradient away as it comes; `Budget.gradients` counts them.
        parameter.register_post_accumulate_grad_hook(lambda it: setattr(it, "grad", None))
    # Not together with the FLOPs: their counter holds on to what the modules put out.
    with LiveBytes(besides=unet.parameters()) as live:
        output = unet(*inputs).sample
        kept = live.now
        output.float().square().mean().backward()
    return kept, live.most - kept
