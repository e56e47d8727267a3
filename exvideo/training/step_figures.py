"""What steps take: seconds, arithmetic, memory and waiting."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch

from exvideo.training.gpus import peak_tflops


class StepFigures:
    """Measures the steps since the last row of figures.

    Args:
        flops: of a step on this rank.
        clips: of a step, over all ranks.
    """

    def __init__(self, flops: float, clips: int, device: torch.device) -> None:
        self._tflops = flops / 1e12
        self._clips = clips
        self._device = device
        on_gpu = device.type == "cuda"
        peak = peak_tflops(torch.cuda.get_device_name(device)) if on_gpu else None
        self._peak = peak or math.nan
        self._durations: list[float] = []
        self._waited = 0.0

    @contextmanager
    def step(self) -> Iterator[None]:
        started = time.monotonic()
        yield
        self._durations.append(time.monotonic() - started)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """For data, within a step."""
        started = time.monotonic()
        yield
        self._waited += time.monotonic() - started

    def taken(self) -> dict[str, float]:
        """The figures, from now on those of the next steps; NaN where there is none."""
        seconds = sum(self._durations) / len(self._durations)
        figures = {
            "seconds_per_step": seconds,
            "waiting_for_data": self._waited / sum(self._durations),
            "tflops_per_second": self._tflops / seconds,
            "share_of_peak": self._tflops / seconds / self._peak,
            "clips_per_second": self._clips / seconds,
            "memory_gb": memory_gb(self._device),
        }
        self._durations.clear()
        self._waited = 0.0
        return figures


def memory_gb(device: torch.device) -> float:
    """The GPU's peak so far; without one, what the process holds now."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return psutil.Process().memory_info().rss / 1e9
