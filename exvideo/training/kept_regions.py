"""Which regions of the U-Net keep their activations instead of computing them again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from exvideo.models.activation_checkpointing import run_regions
from exvideo.training.without_memory import LiveBytes

GIB = 2**30

Part = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class Region:
    """What `checkpoint_activations` recomputes as one."""

    name: str
    size: int
    """Bytes of its activations, without its input and its output, which are kept in any case."""
    flops: float
    """Of its forward pass, which keeping it saves."""


def kept_regions(unet: Any, inputs: tuple[torch.Tensor, ...], gib: float | None) -> list[str]:
    """The regions that have room in `gib` of kept activations: most arithmetic a byte first.

    Args:
        unet: as `unet_without_memory` makes it, `block` set; it must be set again afterwards.
    """
    if gib is None:
        return []
    with LiveBytes(besides=unet.parameters()) as live:
        output = unet(*inputs).sample
        room = gib * GIB - live.now
        del output
    return chosen(measured_regions(unet, inputs), room)


def chosen(regions: list[Region], room: float) -> list[str]:
    """Of regions with a size those that fit into `room` bytes, most arithmetic a byte first."""
    names = []
    for it in sorted(regions, key=lambda it: it.flops / max(it.size, 1), reverse=True):
        if 0 < it.size <= room:
            names.append(it.name)
            room -= it.size
    return names


def measured_regions(unet: Any, inputs: tuple[torch.Tensor, ...]) -> list[Region]:
    """Every region of a U-Net on the meta device, in the order of the forward pass."""
    sizes: dict[str, int] = {}
    flops: dict[str, float] = {}
    # Not together: the counter of operations holds on to what the modules put out.
    with LiveBytes(besides=unet.parameters()) as live:

        def measure_size(name: str, part: Part, *given: Any) -> torch.Tensor:
            before = live.now
            output = part(*given)
            sizes[name] = live.now - before - output.untyped_storage().nbytes()
            return output

        run_regions(unet, measure_size)
        unet(*inputs)
    with FlopCounterMode(display=False) as counter:

        def measure_flops(
            name: str, part: Callable[..., torch.Tensor], *given: Any
        ) -> torch.Tensor:
            before = counter.get_total_flops()
            output = part(*given)
            flops[name] = counter.get_total_flops() - before
            return output

        run_regions(unet, measure_flops)
        unet(*inputs)
    return [Region(name, size, flops[name]) for name, size in sizes.items()]
