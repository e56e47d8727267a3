"""RAFT over a clip, each frame encoded once, against torchvision's plain call for every pair.

python -m benchmarks.flow [--sizes 128 256] [--models raft_small raft_large] [--frames 8]

Both give the flow there and back, which occlusion needs. The network's weights are random: its
work does not depend on them. Each figure is the best of several rounds, in which both take turns;
without a GPU it is of processor time, in which other programs have no part.
"""

import argparse
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch.nn import functional as F
from torchvision.models import optical_flow

from exvideo.evaluation.flow import Raft, network_size
from exvideo.generation.load import best_device


def main() -> None:
    parser = argparse.ArgumentParser(description="RAFT over a clip against plain calls.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256], help="pixels a side")
    parser.add_argument("--models", nargs="+", default=["raft_small", "raft_large"])
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    device = best_device()
    print(f"{device}, {torch.get_num_threads()} threads, {options.iterations} iterations")
    print(f"{'model':12}{'size':>6}{'plain':>14}{'encoded once':>14}{'ratio':>8}{'difference':>12}")
    for model in options.models:
        torch.manual_seed(0)
        network = getattr(optical_flow, model)(weights=None).eval().to(device)
        raft = Raft(network, options.iterations, model)
        for size in options.sizes:
            frames = _clip(options.frames, size)
            _row(model, size, raft, frames, options.rounds)


def _row(model: str, size: int, raft: Raft, frames: np.ndarray, rounds: int) -> None:
    pairs = len(frames) - 1
    difference = np.abs(plain(raft, frames) - raft.both_ways(frames)[0]).max()
    ways = (lambda: plain(raft, frames)), (lambda: raft.both_ways(frames))
    clock = time.process_time if best_device().type == "cpu" else time.perf_counter
    seconds = np.array([[_seconds(way, clock) for way in ways] for _ in range(rounds)])
    before, now = pairs / seconds.min(axis=0)
    rates = f"{before:>8.2f} pairs/s{now:>8.2f} pairs/s"
    print(f"{model:12}{size:>6}{rates}{now / before:>7.2f}x{difference:>9.1e} px")


@torch.inference_mode()
def plain(raft: Raft, frames: np.ndarray) -> np.ndarray:
    """torchvision's call for each pair and for each pair turned round; the flow there."""
    device = next(raft.network.parameters()).device
    video = torch.from_numpy(frames).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
    size, seen = frames.shape[1:3], network_size(*frames.shape[1:3])
    if seen != size:
        video = F.interpolate(video, seen, mode="bicubic", align_corners=False)
    flows = []
    for a, b in pairwise(video):
        flow = raft.network(a[None], b[None], num_flow_updates=raft.iterations)[-1]
        raft.network(b[None], a[None], num_flow_updates=raft.iterations)
        if seen != size:
            flow = F.interpolate(flow, size, mode="bilinear", align_corners=False)
            flow = flow * flow.new_tensor([size[1] / seen[1], size[0] / seen[0]])[:, None, None]
        flows.append(flow.cpu())
    return torch.cat(flows).numpy()


def _clip(frames: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (frames, size, size, 3), dtype=np.uint8)


def _seconds(work: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    work()
    return clock() - start


if __name__ == "__main__":
    main()
