"""An extended U-Net and its inputs on the meta device: tensors with a shape but no memory."""

import json
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from diffusers import UNetSpatioTemporalConditionModel
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.weak import WeakIdKeyDictionary

from exvideo.config import ModelConfig, TrainingConfig
from exvideo.config.base_folder import UNET_CONFIG
from exvideo.models import checkpoint_activations, configure_attention, extend
from exvideo.models.attention import FlashAttention
from exvideo.models.frame_parallel import share_frames


def unet_without_memory(
    base: Path, model: ModelConfig, training: TrainingConfig, num_frames: int
) -> Any:
    """The extended U-Net, as a training of these settings has it on one of its ranks.

    Args:
        base: the folder of the base's configurations.
        num_frames: of a whole clip.
    """
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


def inputs_without_memory(
    unet: Any, training: TrainingConfig, latents: tuple[int, int, int]
) -> tuple[torch.Tensor, ...]:
    """Its arguments for a micro-batch; `latents` are frames, height and width of a whole clip's."""
    batch, (frames, height, width) = training.micro_batch_size, latents
    dtype = next(unet.parameters()).dtype
    sizes = [(batch, frames // training.frame_ranks, 8, height, width), (batch,)]
    sizes += [(batch, 1, unet.config.cross_attention_dim), (batch, 3)]
    return tuple(torch.empty(size, dtype=dtype, device="meta") for size in sizes)


class LiveBytes(TorchDispatchMode):
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
