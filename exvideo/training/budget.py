"""What a post-tuning takes, found with tensors that have a shape but no memory."""

import json
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import UNetSpatioTemporalConditionModel
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.weak import WeakIdKeyDictionary

from exvideo.config import ModelConfig, Preset, TrainingConfig
from exvideo.config.base_folder import UNET_CONFIG, VAE_CONFIG, known_folder
from exvideo.errors import InputError
from exvideo.models import (
    checkpoint_activations,
    configure_attention,
    extend,
    trainable_parameters,
)
from exvideo.models.attention import FlashAttention
from exvideo.models.frame_parallel import share_frames
from exvideo.training.ema import POWER_WIDTHS

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
    shape = (clips.num_frames, clips.height >> (levels - 1), clips.width >> (levels - 1))
    unet = _unet(base, preset.model, training, clips.num_frames)
    inputs = _inputs(unet, training, shape)
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
    return Budget(
        parameters=parameters,
        trained=trained,
        forward_flops=forward * training.accumulate,
        step_flops=whole * training.accumulate,
        weights=parameters * size // (ranks if stage == 3 else 1),
        gradients=trained * summed // (ranks if stage > 1 else 1),
        optimizer=3 * trained * FLOAT32 // (ranks if stage > 0 else 1),
        averages=averages * trained * FLOAT32 // (ranks if stage > 0 else 1),
        buckets=2 * bucket * size if ranks > 1 else 0,
        kept=kept,
        working=working,
    )


def step_flops(
    base: Path, model: ModelConfig, training: TrainingConfig, latents: tuple[int, int, int]
) -> float:
    """A step's floating point operations on one rank, with what is computed again.

    To count them in a real step would change its kernels, and so its rounding.

    Args:
        base: the folder of the base's configurations.
        latents: frames, height and width of a whole clip's.
    """
    unet = _unet(base, model, training, latents[0])
    _, whole = _flops(unet, _inputs(unet, training, latents))
    return whole * training.accumulate


def _unet(base: Path, model: ModelConfig, training: TrainingConfig, num_frames: int) -> Any:
    """The extended U-Net on the meta device."""
    config = json.loads((base / UNET_CONFIG).read_text())
    with torch.device("meta"):
        unet: Any = UNetSpatioTemporalConditionModel.from_config(config)
        unet.to("meta")  # the mixing factors are made on the CPU whatever the context says
        extend(unet, num_frames, **model.extension())
    # Not the model's own `to`, which keeps some parts in float32 for inference.
    half = training.precision != "float32"
    nn.Module.to(unet, torch.bfloat16 if half else torch.float32)
    configure_attention(unet, _FlashOnMeta())
    if training.frame_ranks > 1:
        share_frames(unet, _Alone(training.frame_ranks))
    checkpoint_activations(unet, training.activation_checkpointing)
    return unet.train()


class _FlashOnMeta(FlashAttention):
    """The flash kernel's own shapes: on the meta device torch would take none of its kernels, and
    keep the softmax that they all avoid.
    """

    def __init__(self) -> None:
        self._attend = self._flash

    @staticmethod
    def _flash(
        query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, deterministic: bool
    ) -> torch.Tensor:
        heads_first = (it.transpose(1, 2) for it in (query, key, value))
        output, *_ = torch.ops.aten._scaled_dot_product_flash_attention(*heads_first)
        return output.transpose(1, 2)


class _Alone:
    """The first of the ranks that share a clip, whose others nobody hears of."""

    index = 0

    def __init__(self, count: int) -> None:
        self.count = count

    def exchange(self, x: torch.Tensor, give: list[int], take: list[int]) -> torch.Tensor:
        # The first rank has a row more where they can't be shared out evenly.
        return torch.cat([x, x[: sum(take) - len(x)]])

    def total(self, x: torch.Tensor) -> torch.Tensor:
        return x.clone()


def _inputs(
    unet: Any, training: TrainingConfig, latents: tuple[int, int, int]
) -> tuple[torch.Tensor, ...]:
    batch, (frames, height, width) = training.micro_batch_size, latents
    dtype = next(unet.parameters()).dtype
    sizes = [(batch, frames // training.frame_ranks, 8, height, width), (batch,)]
    sizes += [(batch, 1, unet.config.cross_attention_dim), (batch, 3)]
    return tuple(torch.empty(size, dtype=dtype, device="meta") for size in sizes)


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
    with _LiveBytes(besides=unet.parameters()) as live:
        output = unet(*inputs).sample
        kept = live.now
        output.float().square().mean().backward()
    return kept, live.most - kept


class _LiveBytes(TorchDispatchMode):
    """Counts the memory of tensors that live, `besides` some.

    torch's `MemTracker` does as much and more, but not for models with frozen parameters.
    """

    def __init__(self, besides: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known = WeakIdKeyDictionary()
        for tensor in besides:
            self._known[tensor.untyped_storage()] = None

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        tree_map_only(torch.Tensor, self._meet, result)
        return result

    def _meet(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage not in self._known:
            size = storage.nbytes()
            self._known[storage] = None
            self.now += size
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._part, size)

    def _part(self, size: int) -> None:
        self.now -= size
