"""torchvision's RAFT over a whole clip: what pairs of frames share is computed once.

A plain call encodes both frames of its pair, so a clip's frames are encoded twice, and four times
where the flow back is wanted as well. Here each frame is encoded once. Two more things are the
same in every iteration and leave the loop: the recurrent units' convolution of the context, which
becomes a part of the frame's encoding, and the enlargement of flows that only training looks at.
The result is the plain call's to rounding.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.optical_flow import RAFT
from torchvision.models.optical_flow._utils import make_coords_grid, upsample_flow


@dataclass(frozen=True)
class Encoded:
    """What RAFT knows of N frames before it compares them, at an eighth of their size."""

    features: Tensor
    """[N, C, H/8, W/8], compared between the frames of a pair."""
    hidden: Tensor
    """[N, S, H/8, W/8], what the recurrent units start from."""
    contexts: list[Tensor]
    """Each recurrent unit's convolution of the context, [N, 3 S, H/8, W/8]."""

    def __len__(self) -> int:
        return len(self.hidden)

    def __getitem__(self, frames: slice) -> "Encoded":
        contexts = [context[frames] for context in self.contexts]
        return Encoded(self.features[frames], self.hidden[frames], contexts)

    def followed_by(self, later: "Encoded") -> "Encoded":
        """Both, one after the other."""
        return Encoded(
            torch.cat([self.features, later.features]),
            torch.cat([self.hidden, later.hidden]),
            [torch.cat(pair) for pair in zip(self.contexts, later.contexts, strict=True)],
        )


class ClipRaft:
    """A network's two halves: what is computed for a frame, and what for a pair."""

    def __init__(self, network: RAFT) -> None:
        self.network = network
        self.hidden_size = network.update_block.hidden_state_size
        motion_size = network.update_block.motion_encoder.out_channels
        block = network.update_block.recurrent_block
        # raft_small has one unit; a plain function takes the other one's place.
        modules = [it for it in (block.convgru1, block.convgru2) if isinstance(it, nn.Module)]
        self.units = [_Unit.of(module, self.hidden_size, motion_size) for module in modules]

    def encode(self, frames: Tensor) -> Encoded:
        """Frames [N, 3, H, W] in [-1, 1]; both sides are multiples of 8, at least 128."""
        outputs = self.network.context_encoder(frames)
        hidden, context = outputs[:, : self.hidden_size], outputs[:, self.hidden_size :].relu()
        contexts = [unit.convolve(context) for unit in self.units]
        return Encoded(self.network.feature_encoder(frames), hidden.tanh(), contexts)

    def flow(self, source: Encoded, target: Encoded, iterations: int) -> Tensor:
        """Flow [N, 2, H, W] in pixels from each source frame to its target frame."""
        network, hidden = self.network, source.hidden
        network.corr_block.corr_pyramid = _correlations(
            source.features, target.features, network.corr_block.num_levels
        )
        batch, _, height, width = hidden.shape
        start = make_coords_grid(batch, height, width, device=str(hidden.device))
        place = start
        for _ in range(iterations):
            seen = network.corr_block.index_pyramid(centroids_coords=place)
            motion = network.update_block.motion_encoder(place - start, seen)
            for unit, context in zip(self.units, source.contexts, strict=True):
                hidden = unit(hidden, motion, context)
            place = place + network.update_block.flow_head(hidden)
        mask = None if network.mask_predictor is None else network.mask_predictor(hidden)
        return upsample_flow(place - start, mask)


def _correlations(source: Tensor, target: Tensor, levels: int) -> list[Tensor]:
    """Every source position's product with every target position, at each level half as fine.

    torchvision averages the finest products; the products with averaged features are the same, and
    spare reading all of them again. [N h w, 1, h', w'] each.
    """
    rows = source.flatten(2).transpose(1, 2) / source.shape[1] ** 0.5
    pyramid = []
    for level in range(levels):
        pooled = F.avg_pool2d(target, 2**level)
        pyramid.append((rows @ pooled.flatten(2)).reshape(-1, 1, *pooled.shape[2:]))
    return pyramid


@dataclass(frozen=True)
class _Unit:
    """A gated recurrent unit whose weights are taken apart by what they see.

    `update` and `reset` are the gates; both see the same, and are one convolution here.
    """

    gates: Tensor
    """Over hidden state and motion, [2 S, S + M, h, w]."""
    candidate: Tensor
    """Over hidden state and motion, [S, S + M, h, w]."""
    context: Tensor
    """Of all three, over the context, [3 S, C, h, w]."""
    bias: Tensor
    padding: tuple[int, int]

    @staticmethod
    def of(unit: nn.Module, hidden_size: int, motion_size: int) -> "_Unit":
        """torchvision's unit, whose inputs are hidden state, context and motion in this order."""
        convolutions = [unit.get_submodule(name) for name in ("convz", "convr", "convq")]
        weights = torch.cat([it.get_parameter("weight") for it in convolutions])
        biases = torch.cat([it.get_parameter("bias") for it in convolutions])
        seen = torch.cat([weights[:, :hidden_size], weights[:, -motion_size:]], dim=1)
        return _Unit(
            gates=seen[: 2 * hidden_size],
            candidate=seen[2 * hidden_size :],
            context=weights[:, hidden_size:-motion_size],
            bias=biases,
            padding=convolutions[0].padding,  # type: ignore[arg-type]
        )

    def convolve(self, context: Tensor) -> Tensor:
        return F.conv2d(context, self.context, self.bias, padding=self.padding)

    def __call__(self, hidden: Tensor, motion: Tensor, context: Tensor) -> Tensor:
        size = hidden.shape[1]
        seen = torch.cat([hidden, motion], dim=1)
        gates = F.conv2d(seen, self.gates, padding=self.padding) + context[:, : 2 * size]
        update, reset = gates.sigmoid().chunk(2, dim=1)
        seen = torch.cat([reset * hidden, motion], dim=1)
        candidate = F.conv2d(seen, self.candidate, padding=self.padding) + context[:, 2 * size :]
        return (1 - update) * hidden + update * candidate.tanh()
