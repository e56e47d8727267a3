"""Optical flow between consecutive frames: RAFT, and OpenCV's DIS as its cross-check."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional as F
from torchvision.models import optical_flow

from exvideo.config import FlowConfig, shipped
from exvideo.errors import InputError
from exvideo.evaluation.flow_names import GROUP, OWN
from exvideo.evaluation.metrics.along_flow import follow
from exvideo.evaluation.metrics.motion import vbench_interval
from exvideo.evaluation.offered import load_offered
from exvideo.evaluation.pairwise_flow import PairwiseFlow
from exvideo.evaluation.raft import ClipRaft

MIN_SIDE = 320
"""Smaller frames are enlarged: a RAFT feature is 8 pixels wide, too coarse for a picture of 64."""

PIXELS_AT_ONCE = {"cpu": 2**17, "cuda": 2**20}
"""Of the frames that go through the network together, as it sees them: a processor's cache holds
one of 320x320. A pair of 1024x1024 fills 1.4 GB with its correlations, so that there it is one."""


@dataclass(frozen=True)
class Raft:
    """A RAFT network (Teed and Deng, 2020), or one in its place, and how often it refines."""

    network: torch.nn.Module
    iterations: int
    name: str
    """Architecture, weights and iterations, as figures should name the estimator."""
    over_clip: Callable[[Any], Any] = ClipRaft
    """How the network goes over a whole clip."""

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """uint8 frames [T, H, W, 3] to float32 flow [T-1, 2, H, W].

        flow[t, :, y, x] is the (x, y) displacement in pixels that takes frame t's pixel to its
        place in frame t+1. Frames below 320 pixels a side, or no multiple of 8, are resized for
        the network and the flow is scaled back.
        """
        return np.concatenate([forward for forward, _ in self._flows(frames, back=False)])

    def both_ways(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The flow as above, and where the flow back confirms it, bool [T-1, H, W].

        The flow back itself is not kept: it would double what a long clip takes.
        """
        parts = [
            (forward, consistent(forward, backward))
            for forward, backward in self._flows(frames, back=True)
        ]
        flow, visible = zip(*parts, strict=True)
        return np.concatenate(flow), np.concatenate(visible)

    @torch.inference_mode()
    def _flows(self, frames: np.ndarray, back: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Forward and backward flow (empty without `back`) of a few pairs after the other."""
        raft = self.over_clip(self.network)
        size = frames.shape[1:3]
        for first, second in self._pairs(raft, frames):
            forward = _scaled_back(raft.flow(first, second, self.iterations), *size)
            backward = np.empty((0, 2, *size), np.float32)
            if back:
                backward = _scaled_back(raft.flow(second, first, self.iterations), *size)
            yield forward, backward

    def _pairs(self, raft: Any, frames: np.ndarray) -> Iterator[tuple[Any, Any]]:
        """Neighbouring frames, encoded once; as many at a time as the device takes well."""
        device = next(self.network.parameters()).device
        height, width = network_size(*frames.shape[1:3])
        budget = PIXELS_AT_ONCE.get(device.type, PIXELS_AT_ONCE["cpu"])
        at_once = max(1, budget // (height * width))
        last: Any = None
        for start in range(0, len(frames), at_once):
            part = torch.from_numpy(frames[start : start + at_once]).to(device)
            video = part.permute(0, 3, 1, 2).float() / 127.5 - 1
            if video.shape[2:] != (height, width):
                video = F.interpolate(video, (height, width), mode="bicubic", align_corners=False)
            encoded = raft.encode(video)
            encoded = encoded if last is None else last.followed_by(encoded)
            if len(encoded) > 1:
                yield encoded[:-1], encoded[1:]
            last = encoded[-1:]


def _scaled_back(flow: torch.Tensor, height: int, width: int) -> np.ndarray:
    """The network's flow at the clip's own size and in its pixels."""
    seen = flow.shape[2:]
    if seen != (height, width):
        flow = F.interpolate(flow, (height, width), mode="bilinear", align_corners=False)
        flow = flow * flow.new_tensor([width / seen[1], height / seen[0]])[:, None, None]
    return flow.cpu().numpy()


def consistent(forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """Where the flow back leads home again, bool [T-1, H, W]; elsewhere a pixel is occluded.

    Both flows are [T-1, 2, H, W], `backward` from frame t+1 to frame t. The tolerance is that of
    Sundaram et al. (2010): |f + b|^2 <= 0.01 (|f|^2 + |b|^2) + 0.5, b taken where f leads to.
    A pixel that leaves the frame isn't seen twice either.
    """
    there, inside = follow(backward, forward)
    apart = np.square(forward + there).sum(axis=1)
    lengths = np.square(forward).sum(axis=1) + np.square(there).sum(axis=1)
    return inside & (apart <= 0.01 * lengths + 0.5)


def network_size(height: int, width: int) -> tuple[int, int]:
    """The size that RAFT sees: at least 320 a side, multiples of 8, the aspect ratio kept."""
    enlarge = max(1.0, MIN_SIDE / min(height, width))
    return tuple(8 * round(side * enlarge / 8) for side in (height, width))  # type: ignore[return-value]


def load_raft(config: FlowConfig, device: torch.device | str = "cpu") -> Raft:
    """RAFT, or the network in its place, as the preset names it.

    Raises:
        InputError: if the weights are missing, or are not this architecture's.
    """
    if config.model not in OWN:
        key = "evaluation.flow.weights"
        network = load_offered(GROUP, config.model, config.weights, key).to(device)
        name = f"{config.model}, {Path(config.weights).name}, {config.iterations} iterations"
        return Raft(network, config.iterations, name, PairwiseFlow)
    network = getattr(optical_flow, config.model)(weights=None)
    state, origin = _weights(config)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"{origin} are no weights of {config.model}: {error}") from error
    name = f"{config.model}, {origin}, {config.iterations} iterations"
    return Raft(network.eval().to(device), config.iterations, name)


def _weights(config: FlowConfig) -> tuple[dict[str, torch.Tensor], str]:
    if config.weights == "torchvision":
        published = {
            "raft_small": optical_flow.Raft_Small_Weights.DEFAULT,
            "raft_large": optical_flow.Raft_Large_Weights.DEFAULT,
        }[config.model]
        try:
            # weights_only: what comes from outside is data, not code.
            state = published.get_state_dict(progress=False, check_hash=True, weights_only=True)
        except OSError as error:
            raise InputError(
                f"torchvision's {published} could not be downloaded ({error}): name a file in "
                "evaluation.flow.weights"
            ) from error
        return state, str(published).rpartition(".")[2]
    path = Path(shipped(config.weights)).expanduser()
    if not path.is_file():
        raise InputError(
            f"evaluation.flow.weights names {config.weights}, which does not exist: give a "
            "safetensors or state dict file, or `torchvision` for the published weights"
        )
    if path.suffix == ".safetensors":
        return load_file(path), path.name
    return torch.load(path, map_location="cpu", weights_only=True), path.name


@dataclass(frozen=True)
class ClipFlow:
    """All flow that a clip is measured by, [T-1, 2, H, W] each, in pixels a frame."""

    raft: np.ndarray
    visible: np.ndarray
    """Where RAFT's flow back confirms it, bool [T-1, H, W]."""
    sampled: np.ndarray
    """RAFT's between every how manieth frame VBench looks at, [n-1, 2, H, W]."""
    dis: np.ndarray


def clip_flow(raft: Raft, frames: np.ndarray, fps: float) -> ClipFlow:
    """The flow of uint8 frames [T, H, W, 3], `fps` a second."""
    flow, visible = raft.both_ways(frames)
    sampled = frames[:: vbench_interval(fps)]
    if len(sampled) == len(frames):
        between = flow
    else:
        between = raft(sampled) if len(sampled) > 1 else flow[:0]
    return ClipFlow(flow, visible, between, dis_flow(frames))


def dis_flow(frames: np.ndarray) -> np.ndarray:
    """OpenCV's DIS at its medium preset (Kroeger et al., 2016); arguments and result as RAFT's."""
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    flows = [
        estimator.calc(a, b, None)  # type: ignore[call-overload]
        for a, b in pairwise(grey)
    ]
    return np.stack(flows).transpose(0, 3, 1, 2).astype(np.float32)
