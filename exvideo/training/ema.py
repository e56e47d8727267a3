"""Exponential moving averages of the trained weights, in float32."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from exvideo.config import TrainingConfig
from exvideo.training.partitions import Slice

Decay = Callable[[int], float]
"""How much of the average the n-th update keeps, n from 1 on."""

POWER_WIDTHS = (0.05, 0.10)
"""EDM2's two: of their snapshots averages of any width between are made afterwards."""


class Ema:
    """Follows a rank's slices of the float32 weights; each rank averages its own share.

    An average of bfloat16 weights would never move: at a decay of 0.9999 a step's change is
    below half a unit in the last place.
    """

    def __init__(self, weights: list[Slice], decay: Decay) -> None:
        self._weights = [it.values for it in weights]
        self._decay = decay
        self.slices = [replace(it, values=it.values.clone()) for it in weights]

    def update(self, updates: int) -> None:
        """average = decay * average + (1 - decay) * weights, at the `updates`-th update."""
        average = [it.values for it in self.slices]
        torch._foreach_lerp_(average, self._weights, 1 - self._decay(updates))


def averages(weights: list[Slice], config: TrainingConfig) -> dict[str, Ema]:
    """Every average that a training keeps, by its name; `ema` is the one that is published."""
    kept = {"ema": Ema(weights, constant(config.ema_decay))}
    for decay in config.more_ema_decays:
        kept[f"ema-{decay:g}"] = Ema(weights, constant(decay))
    if config.snapshot_every is not None:
        for width in POWER_WIDTHS:
            kept[f"power-{width:g}"] = Ema(weights, power(exponent_of(width)))
    return kept


def constant(decay: float) -> Decay:
    return lambda _: decay


def power(exponent: float) -> Decay:
    """The power-function average (Karras et al., 2024, equation 127).

    Its width grows with the training: the weights after update t count t^exponent.
    """
    return lambda updates: (1 - 1 / updates) ** (exponent + 1)


def exponent_of(width: float) -> float:
    """The exponent of the power-function average of a relative width (ibid., algorithm 2).

    The width is the profile's standard deviation over the training's length.

    Raises `ValueError` for a width that no average has: the widest is 0.289, all weights alike.
    """
    if not 0 < width < 12**-0.5:
        raise ValueError(f"an average's relative width lies between 0 and 0.288, not at {width:g}")
    roots = np.roots([1, 7, 16 - width**-2, 12 - width**-2])
    return float(roots.real.max())
