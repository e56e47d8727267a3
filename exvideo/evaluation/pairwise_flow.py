"""A network that takes a pair of frames, such as SEA-RAFT, in RAFT's place over a whole clip."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Network = Callable[[Tensor, Tensor, int], Tensor]
"""Frames [N, 3, H, W] in [-1, 1], the next ones, and how often to refine: flow [N, 2, H, W]."""


@dataclass(frozen=True)
class Frames:
    """Such a network knows nothing of a frame before it sees the pair."""

    pixels: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, frames: slice) -> "Frames":
        return Frames(self.pixels[frames])

    def followed_by(self, later: "Frames") -> "Frames":
        """Both, one after the other."""
        return Frames(torch.cat([self.pixels, later.pixels]))


class PairwiseFlow:
    """What `exvideo.evaluation.raft.ClipRaft` is to RAFT."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def encode(self, frames: Tensor) -> Frames:
        """Frames [N, 3, H, W] in [-1, 1]; both sides are multiples of 8, at least 320."""
        return Frames(frames)

    def flow(self, source: Frames, target: Frames, iterations: int) -> Tensor:
        """Flow [N, 2, H, W] in pixels from each source frame to its target frame."""
        found = self.network(source.pixels, target.pixels, iterations)
        expected = (len(source), 2, *source.pixels.shape[2:])
        if tuple(found.shape) != expected:
            raise ValueError(f"the flow network gives {tuple(found.shape)}, expected {expected}")
        return found
