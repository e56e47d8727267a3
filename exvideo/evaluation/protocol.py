"""What numbers were measured with: those of another protocol don't compare."""

import hashlib
from collections.abc import Iterable
from typing import Any, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from exvideo.evaluation.flow import Raft
from exvideo.evaluation.networks import NO_NETWORKS, Networks
from exvideo.receipt import digest_of

METRICS = 1
"""Raised by hand where any metric gives the same clip another value."""


class Protocol(BaseModel):
    """Everything that moves a number and is not the model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metrics: int = METRICS
    estimator: str
    """The flow's architecture, weights and iterations, by name."""
    flow_weights: str
    """SHA-256 of the flow network's tensors."""
    torch: str
    device: str
    """A GPU's name, or `cpu`."""
    networks: dict[str, str] = {}
    """SHA-256 of the weights of further networks that metrics take."""
    sampling: dict[str, Any] = {}
    """What clips were generated with; empty where others have generated them."""
    first_frames: str = ""
    """SHA-256 of what they were generated from."""

    @classmethod
    def of(
        cls,
        raft: Raft,
        sampling: dict[str, Any] | None = None,
        first_frames: Iterable[np.ndarray] = (),
        networks: Networks = NO_NETWORKS,
    ) -> Self:
        """The protocol of a measurement with `raft` on its device; frames are uint8 [H,W,3]."""
        device = next(raft.network.parameters()).device
        on_gpu = device.type == "cuda"
        state = raft.network.state_dict()
        frames = list(first_frames)
        return cls(
            estimator=raft.name,
            flow_weights=_sha256(state[name].cpu().numpy() for name in sorted(state)),
            torch=torch.__version__,
            device=torch.cuda.get_device_name(device) if on_gpu else device.type,
            networks=dict(networks.weights),
            sampling=sampling or {},
            first_frames=_sha256(frames) if frames else "",
        )

    @property
    def digest(self) -> str:
        """One word for all of it, to stand beside a number."""
        return digest_of(self.model_dump(mode="json"))[:12]

    def differences(self, other: Self) -> list[str]:
        """What is another in `other`, by name and with both values."""
        return [
            f"{name} {getattr(self, name)} and {getattr(other, name)}"
            for name in type(self).model_fields
            if getattr(self, name) != getattr(other, name)
        ]


def _sha256(arrays: Iterable[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
