"""Optical flow between consecutive frames: RAFT, and OpenCV's DIS as its cross-check."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional as F
from torchvision.models import optical_flow

from exvideo.config import FlowConfig, shipped
from exvideo.errors import InputError

MIN_SIDE = 320
"""Smaller frames are enlarged: a RAFT feature is 8 pixels wide, too coarse for a picture of 64."""

PAIRS_AT_ONCE = 8


class FlowWeightsError(InputError):
    """RAFT's weights can't be had; the message says which, where and what to do."""


@dataclass(frozen=True)
class Raft:
    """A RAFT network (Teed and Deng, 2020) and how often it refines its estimate."""

    network: torch.nn.Module
    iterations: int
    name: str
    """Architecture, weights and iterations, as figures should name the estimator."""

    @torch.inference_mode()
    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """uint8 frames [T, H, W, 3] to float32 flow [T-1, 2, H, W].

        flow[t, :, y, x] is the (x, y) displacement in pixels that takes frame t's pixel to its
        place in frame t+1. Frames below 320 pixels a side, or no multiple of 8, are resized for
        the network and the flow is scaled back.
        """
        height, width = frames.shape[1:3]
        device = next(self.network.parameters()).device
        video = torch.from_numpy(frames).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
        size = network_size(height, width)
        if size != (height, width):
            video = F.interpolate(video, size, mode="bicubic", align_corners=False)
        flows = [
            self.network(video[t:-1][:PAIRS_AT_ONCE], video[t + 1 :][:PAIRS_AT_ONCE],
                         num_flow_updates=self.iterations)[-1]
            for t in range(0, len(video) - 1, PAIRS_AT_ONCE)
        ]  # fmt: skip
        flow = torch.cat(flows)
        if size != (height, width):
            flow = F.interpolate(flow, (height, width), mode="bilinear", align_corners=False)
            scale = torch.tensor([width / size[1], height / size[0]], device=device)
            flow = flow * scale[:, None, None]
        return flow.cpu().numpy()


def network_size(height: int, width: int) -> tuple[int, int]:
    """The size that RAFT sees: at least 320 a side, multiples of 8, the aspect ratio kept."""
    enlarge = max(1.0, MIN_SIDE / min(height, width))
    return tuple(8 * round(side * enlarge / 8) for side in (height, width))  # type: ignore[return-value]


def load_raft(config: FlowConfig, device: torch.device | str = "cpu") -> Raft:
    """RAFT as the preset names it.

    Raises:
        FlowWeightsError: if the weights are missing, or are not this architecture's.
    """
    network = getattr(optical_flow, config.model)(weights=None)
    state, origin = _weights(config)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise FlowWeightsError(f"{origin} are no weights of {config.model}: {error}") from error
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
            raise FlowWeightsError(
                f"torchvision's {published} could not be downloaded ({error}): name a file in "
                "evaluation.flow.weights"
            ) from error
        return state, str(published).rpartition(".")[2]
    path = Path(shipped(config.weights)).expanduser()
    if not path.is_file():
        raise FlowWeightsError(
            f"evaluation.flow.weights names {config.weights}, which does not exist: give a "
            "safetensors or state dict file, or `torchvision` for the published weights"
        )
    if path.suffix == ".safetensors":
        return load_file(path), path.name
    return torch.load(path, map_location="cpu", weights_only=True), path.name


def dis_flow(frames: np.ndarray) -> np.ndarray:
    """OpenCV's DIS at its medium preset (Kroeger et al., 2016); arguments and result as RAFT's."""
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    flows = [
        estimator.calc(a, b, None)  # type: ignore[call-overload]
        for a, b in pairwise(grey)
    ]
    return np.stack(flows).transpose(0, 3, 1, 2).astype(np.float32)
