"""How a pipeline calls its U-Net: in reduced precision, one clip at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

UNetCall = Callable[..., tuple[torch.Tensor]]


def wrap(unet: nn.Module, wrapper: Callable[[UNetCall], UNetCall]) -> None:
    """From now on `unet(...)` is `wrapper(unet's own forward)(...)`.

    The object stays, and with it the configuration that a pipeline reads.
    """
    vars(unet)["forward"] = wrapper(unet.forward)


@contextmanager
def wrapped(unet: nn.Module, wrapper: Callable[[UNetCall], UNetCall]) -> Iterator[None]:
    """`wrap` for the length of the block; blocks nest."""
    before = vars(unet).get("forward")
    wrap(unet, wrapper)
    try:
        yield
    finally:
        if before is None:
            del vars(unet)["forward"]
        else:
            vars(unet)["forward"] = before


def in_bfloat16(forward: UNetCall) -> UNetCall:
    """Compute in bfloat16 where autocast deems it safe.

    Latents stay float32: the scheduler returns its model's type, and rounding them at every step
    would add noise to each frame.
    """

    def call(sample: torch.Tensor, *inputs: Any, **options: Any) -> tuple[torch.Tensor]:
        with torch.autocast(sample.device.type, torch.bfloat16):
            return (forward(sample, *inputs, **{**options, "return_dict": False})[0].float(),)

    return call


def one_clip_at_a_time(forward: UNetCall) -> UNetCall:
    """Run a batch clip by clip: guidance then needs the memory of one clip instead of two."""

    def call(
        sample: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        added_time_ids: torch.Tensor,
        return_dict: bool = False,
    ) -> tuple[torch.Tensor]:
        outputs = [
            forward(
                sample[clip : clip + 1],
                timestep,
                encoder_hidden_states=encoder_hidden_states[clip : clip + 1],
                added_time_ids=added_time_ids[clip : clip + 1],
                return_dict=False,
            )[0]
            for clip in range(len(sample))
        ]
        return (torch.cat(outputs),)

    return call
