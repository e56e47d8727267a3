"""The exponential moving average of the trained weights, in float32 on ZeRO's partitions."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from exvideo.training.engine import Engine, float32_weights, read_weights, write_weights


class AveragedWeights:
    """Follows the optimizer's float32 weights; each rank holds only its own share.

    An average of bfloat16 weights would never move: at a decay of 0.9999 a step's change is
    below half a unit in the last place.
    """

    def __init__(self, engine: Engine, decay: float) -> None:
        self._engine = engine
        self._decay = decay
        self._shares = [weight.clone() for weight in float32_weights(engine)]

    def update(self) -> None:
        """average = decay * average + (1 - decay) * weights."""
        torch._foreach_lerp_(self._shares, float32_weights(self._engine), 1 - self._decay)

    def gather(self) -> dict[str, Tensor]:
        """The whole average by parameter name, on the CPU; every rank must ask."""
        with self._in_place_of_weights():
            return read_weights(self._engine)

    def scatter(self, average: Mapping[str, Tensor]) -> None:
        """Continue from a gathered average, on however many ranks."""
        with self._in_place_of_weights():
            write_weights(self._engine, average)
            for share, weight in zip(self._shares, float32_weights(self._engine), strict=True):
                share.copy_(weight)

    @contextmanager
    def _in_place_of_weights(self) -> Iterator[None]:
        # DeepSpeed alone knows which piece of which parameter lies where in a partition: its
        # own functions read and write the average while it sits where they look.
        weights = float32_weights(self._engine)
        kept = [weight.clone() for weight in weights]
        try:
            for weight, share in zip(weights, self._shares, strict=True):
                weight.copy_(share)
            yield
        finally:
            for weight, original in zip(weights, kept, strict=True):
                weight.copy_(original)
