"""The exponential moving average of the trained weights, in float32."""

from dataclasses import replace

import torch

from exvideo.training.partitions import Slice


class Ema:
    """Follows a rank's slices of the float32 weights; each rank averages its own share.

    An average of bfloat16 weights would never move: at a decay of 0.9999 a step's change is
    below half a unit in the last place.
    """

    def __init__(self, weights: list[Slice], decay: float) -> None:
        self._weights = [it.values for it in weights]
        self._decay = decay
        self.slices = [replace(it, values=it.values.clone()) for it in weights]

    def update(self) -> None:
        """average = decay * average + (1 - decay) * weights."""
        average = [it.values for it in self.slices]
        torch._foreach_lerp_(average, self._weights, 1 - self._decay)
