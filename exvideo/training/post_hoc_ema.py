"""An average of any width, made after the training (Karras et al., 2024, section 3.2).

A training keeps two power-function averages and writes snapshots of both. The profile of an average
that nobody kept, that is how much each update's weights count in it, is a weighted sum of the
snapshots' profiles, found by least squares; the same sum of the snapshots is the average.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from exvideo.atomic_file import atomic_file
from exvideo.errors import InputError
from exvideo.training.ema import exponent_of

NAME = re.compile(r"power-(?P<width>[0-9.]+)\.step-(?P<step>\d+)\.safetensors")


@dataclass(frozen=True)
class Snapshot:
    """A power-function average at one step, as `TrainingJob.snapshot` names its file."""

    path: Path
    step: int
    width: float


def find_snapshots(folder: Path) -> list[Snapshot]:
    """All of a folder's, oldest first."""
    found = [
        Snapshot(path, int(match["step"]), float(match["width"]))
        for path in folder.glob("*.safetensors")
        if (match := NAME.fullmatch(path.name))
    ]
    return sorted(found, key=lambda it: (it.step, it.width))


def average_of(snapshots: Sequence[Snapshot], width: float, step: int, out: Path) -> float:
    """Write the extension averaged with a relative `width` at `step`, float32.

    Returns how far its profile is from the one asked for: the share of its squared norm that no
    sum of the snapshots reaches.

    Raises:
        InputError: if there is no snapshot of that step, or the width is no average's.
    """
    used = [it for it in snapshots if it.step <= step]
    if step not in {it.step for it in used}:
        steps = sorted({it.step for it in snapshots})
        raise InputError(f"there is no snapshot of step {step}, but of {steps}")
    try:
        exponent = exponent_of(width)
    except ValueError as error:
        raise InputError(str(error)) from error
    steps, exponents = [it.step for it in used], [exponent_of(it.width) for it in used]
    weights, missed = fit(steps, exponents, step, exponent)
    total: dict[str, torch.Tensor] = {}
    for snapshot, weight in zip(used, weights, strict=True):
        try:
            with safe_open(snapshot.path, "pt") as file:
                header, names = file.metadata(), list(file.keys())
                for name in names:
                    term = weight * file.get_tensor(name).float()
                    total[name] = total[name] + term if name in total else term
        except SafetensorError as error:
            raise InputError(f"{snapshot.path} can't be read: {error}") from error
    with atomic_file(out) as part:
        save_file(total, part, metadata=header)
    return missed


def fit(
    steps: Sequence[int], exponents: Sequence[float], step: int, exponent: float
) -> tuple[NDArray[np.float64], float]:
    """The weights of averages at `steps` that come nearest to one at `step`, and the rest.

    They sum to 1, so that a tensor that has never moved stays where it is.
    """
    t, gamma = np.asarray(steps, np.float64), np.asarray(exponents, np.float64)
    gram = overlap(t[:, None], gamma[:, None], t, gamma)
    aim = overlap(t, gamma, np.float64(step), np.float64(exponent))
    # The gram matrix of many snapshots is nearly singular.
    weights = np.linalg.lstsq(gram, aim, rcond=1e-12)[0]
    norm = overlap(step, exponent, step, exponent)
    missed = float((norm - 2 * weights @ aim + weights @ gram @ weights) / norm)
    return weights / weights.sum(), max(missed, 0.0)


def overlap(
    step: NDArray[np.float64] | float,
    exponent: NDArray[np.float64] | float,
    other_step: NDArray[np.float64] | float,
    other_exponent: NDArray[np.float64] | float,
) -> NDArray[np.float64]:
    """The integral of the product of two averages' profiles (ibid., equation 137).

    A profile at step t is (exponent + 1) / t (u / t)^exponent for updates u up to t.
    """
    earlier = np.minimum(step, other_step)
    later = np.maximum(step, other_step)
    of_later = np.where(np.less(step, other_step), other_exponent, exponent)
    product = (np.add(exponent, 1.0)) * (np.add(other_exponent, 1.0))
    scaled = (earlier / later) ** of_later
    return product * scaled / ((np.add(exponent, other_exponent) + 1) * later)
