"""What a post-tuning takes, found with tensors that have a shape but no memory."""

import gc
import json
import weakref
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import UNetSpatioTemporalConditionModel
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.weak import WeakIdKeyDictionary

from exvideo.config import Preset
from exvideo.config.base_folder import UNET_CONFIG, VAE_CONFIG, known_folder
from exvideo.errors import InputError
from exvideo.models import (
    checkpoint_activations,
    configure_attention,
    extend,
    trainable_parameters,
)

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
    average: int
    buckets: int
    """What ZeRO sends at a time."""
    kept: int
    """Activations that the forward pass leaves for the backward pass."""
    working: int
    """What the backward pass adds to them where it takes most."""

    @property
    def peak(self) -> int:
        held = self.weights + self.gradients + self.optimizer + self.average + self.buckets
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
    half = training.precision != "float32"
    levels = len(json.loads((base / VAE_CONFIG).read_text())["block_out_channels"])
    shape = (clips.num_frames, clips.height >> (levels - 1), clips.width >> (levels - 1))
    with FakeTensorMode():
        unet = _unet(preset, json.loads((base / UNET_CONFIG).read_text()), half)
        forward, whole, kept, working = _measured(unet, training.micro_batch_size, shape)
    parameters = sum(it.numel() for it in unet.parameters())
    trained = sum(it.numel() for it in trainable_parameters(unet).values())
    size = BFLOAT16 if half else FLOAT32
    stage, ranks = training.zero_stage, training.ranks
    summed = FLOAT32 if training.accumulate > 1 else size
    bucket = min(50_000_000, trained)
    return Budget(
        parameters=parameters,
        trained=trained,
        forward_flops=forward * training.accumulate,
        step_flops=whole * training.accumulate,
        weights=parameters * size // (ranks if stage == 3 else 1),
        gradients=trained * summed // (ranks if stage > 1 else 1),
        optimizer=3 * trained * FLOAT32 // (ranks if stage > 0 else 1),
        average=trained * FLOAT32 // (ranks if stage > 0 else 1),
        buckets=2 * bucket * size if ranks > 1 else 0,
        kept=kept,
        working=working,
    )


def _unet(preset: Preset, config: dict[str, Any], half: bool) -> nn.Module:
    # Fake parameters can't be cast afterwards.
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16 if half else torch.float32)
    try:
        unet: Any = UNetSpatioTemporalConditionModel.from_config(config)
        extend(unet, preset.clips.num_frames, **preset.model.extension())
    finally:
        torch.set_default_dtype(default)
    configure_attention(unet, "sdpa")
    checkpoint_activations(unet, preset.training.activation_checkpointing)
    return unet.train()


def _measured(unet: Any, batch: int, shape: tuple[int, int, int]) -> tuple[float, float, int, int]:
    """FLOPs of forward and of both passes; bytes kept, and bytes added to them at the peak."""
    frames, height, width = shape
    dtype = next(unet.parameters()).dtype

    def empty(*size: int) -> torch.Tensor:
        return torch.empty(size, dtype=dtype)

    context = empty(batch, 1, unet.config.cross_attention_dim)
    inputs = (empty(batch, frames, 8, height, width), empty(batch), context, empty(batch, 3))
    for parameter in trainable_parameters(unet).values():
        # ZeRO takes each gradient away as it comes; `Budget.gradients` counts them.
        parameter.register_post_accumulate_grad_hook(lambda it: setattr(it, "grad", None))
    gc.freeze()  # the model and all modules need not be looked through each time
    with FlopCounterMode(display=False) as flops, _LiveBytes() as live:
        output = unet(*inputs).sample
        forward, kept = flops.get_total_flops(), live.now
        output.float().square().mean().backward()
    gc.unfreeze()
    return forward, flops.get_total_flops(), kept, live.most - kept


class _LiveBytes(TorchDispatchMode):
    """Counts the memory of the tensors that were made within it and still live.

    torch's `MemTracker` does as much and more, but not for models with frozen parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known = WeakIdKeyDictionary()

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
            if self.now > 1.01 * self.most:
                gc.collect()  # tensors without memory are in no hurry to go
                self.most = max(self.most, self.now)
            weakref.finalize(storage, self._part, size)

    def _part(self, size: int) -> None:
        self.now -= size
