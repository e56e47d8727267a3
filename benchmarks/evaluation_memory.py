"""Whether an evaluation of many clips takes more memory than one of a few.

python -m benchmarks.evaluation_memory [--clips 1000]

What is kept of a clip does not depend on the network, so flow comes from one that does nothing:
clips of 16 frames of 64x64, which the network sees at 320x320 as ever.
"""

import argparse
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from exvideo.evaluation.evaluate import evaluate
from exvideo.evaluation.flow import Raft
from exvideo.evaluation.pairwise_flow import PairwiseFlow
from exvideo.evaluation.samples import FirstFrame, Phase, Sample, save_frames
from exvideo.progress import Silent

FRAMES, SIZE = 16, 64


class Steady(torch.nn.Module):
    """A pan by a pixel a frame, whatever it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.right = torch.nn.Parameter(torch.ones(()))

    def forward(self, first: Tensor, second: Tensor, iterations: int) -> Tensor:
        return self.right.expand(len(first), 2, *first.shape[2:])


class Told(Silent):
    """Prints the memory at every tenth of the way."""

    def update(self, done: int, total: int, unit: str, **figures: float) -> None:
        if done % max(total // 10, 1) == 0:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{done:>6} {unit}{_resident():>9.0f} MiB now{peak:>9.0f} MiB at most", flush=True
            )


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory of an evaluation over its clips.")
    parser.add_argument("--clips", type=int, default=1000)
    options = parser.parse_args()
    raft = Raft(Steady(), 1, "steady", PairwiseFlow)
    with tempfile.TemporaryDirectory() as folder:
        samples = list(_samples(Path(folder), options.clips))
        evaluate(samples, raft, 2, Told(), fps=24, period=8, sampling={})


def _samples(folder: Path, count: int) -> Iterator[Sample]:
    path = folder / "clip.npy"
    pixels = np.random.default_rng(0).integers(0, 256, (FRAMES, SIZE, SIZE, 3), dtype=np.uint8)
    save_frames(path, pixels)
    for number in range(count):
        given = FirstFrame(f"{number:016x}", pixels[0])
        yield Sample(Phase("after", 1, None), given, 0, path)


def _resident() -> float:
    """MiB of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main()
