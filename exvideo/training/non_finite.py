"""Where a step stops being finite, for whoever has to mend it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from exvideo.training.objective import Batch


class Found:
    """The first place that was met."""

    place: str | None = None

    def meet(self, place: str) -> None:
        self.place = self.place or place


@contextmanager
def first_non_finite(unet: nn.Module) -> Iterator[Found]:
    """Within the block, every layer's output and its gradient is looked at.

    That costs a look by the host a layer: for a step that is known to go wrong, not for all.
    """
    found = Found()

    def look(name: str) -> Any:
        def after(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if not isinstance(output, Tensor) or found.place is not None:
                return
            if not output.isfinite().all():
                found.meet(f"the output of {name}")
            elif output.requires_grad:
                output.register_hook(before)

        def before(gradient: Tensor) -> None:
            if found.place is None and not gradient.isfinite().all():
                found.meet(f"the gradient of what {name} puts out")

        return after

    hooks = [
        module.register_forward_hook(look(name))
        for name, module in unet.named_modules()
        if not list(module.children())
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def non_finite_inputs(batch: Batch) -> str | None:
    """Which of a batch's tensors have values that are not finite."""
    names = [name for name, it in vars(batch).items() if not torch.isfinite(it).all()]
    return f"the batch's {' and '.join(names)}" if names else None
