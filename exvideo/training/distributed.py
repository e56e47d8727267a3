"""The ranks of a job: how DeepSpeed is imported, started and ended, and what ranks agree on."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch

from exvideo.errors import InputError


def import_deepspeed() -> ModuleType:
    """Import DeepSpeed without MLflow, which only its autotuner would use: 4 s and 150 MB."""
    known = "mlflow" in sys.modules
    sys.modules.setdefault("mlflow", None)  # type: ignore[arg-type]
    try:
        import deepspeed
    finally:
        if not known:
            del sys.modules["mlflow"]
    return deepspeed


@dataclass(frozen=True)
class Ranks:
    """This process among those of the job."""

    rank: int
    count: int
    device: torch.device
    per_clip: int = 1
    """Ranks that share a clip's frames; consecutive ones."""

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def clip_group(self) -> int:
        """Which of the `clip_groups` this rank is in: those of a group work on the same clips."""
        return self.rank // self.per_clip

    @property
    def clip_groups(self) -> int:
        return self.count // self.per_clip

    def own_frames(self, num_frames: int) -> slice:
        """This rank's share of a clip's frames."""
        share = num_frames // self.per_clip
        start = self.rank % self.per_clip * share
        return slice(start, start + share)

    def total(self, *values: float) -> list[float]:
        """The sum of each value over all ranks; every rank must ask."""
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(tensor)
        return tensor.tolist()


@contextmanager
def join_ranks(per_clip: int = 1) -> Iterator[Ranks]:
    """Meet the other ranks, over NCCL on GPUs and Gloo on CPUs; `per_clip` of them share a clip.

    Reads the launcher's RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT.
    """
    deepspeed = import_deepspeed()
    local = int(os.environ["LOCAL_RANK"])
    if torch.cuda.is_available():
        if local >= torch.cuda.device_count():
            raise InputError(
                f"training.ranks asks for {local + 1} GPUs or more, this node has "
                f"{torch.cuda.device_count()}: lower it"
            )
        torch.cuda.set_device(local)
        # A resumed training equals an uninterrupted one only where a step always gives the same;
        # `launch_environment` says so to cuBLAS.
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = False
        device, backend = torch.device("cuda", local), "nccl"
    else:
        # Its C++ extension would be compiled for a minute and more, to speed up nothing here.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        device, backend = torch.device("cpu"), "gloo"
    deepspeed.init_distributed(dist_backend=backend, auto_mpi_discovery=False, verbose=False)
    try:
        rank, count = torch.distributed.get_rank(), torch.distributed.get_world_size()
        yield Ranks(rank, count, device, per_clip)
    finally:
        # Its own way, which forgets the groups that it keeps beside torch.
        deepspeed.comm.destroy_process_group()


def frame_group(ranks: Ranks) -> Any:
    """The process group of the ranks that share this one's clips; every rank must ask."""
    firsts = range(0, ranks.count, ranks.per_clip)
    groups = [torch.distributed.new_group(range(it, it + ranks.per_clip)) for it in firsts]
    return groups[ranks.clip_group]


def whole_clip(own: torch.Tensor, ranks: Ranks) -> torch.Tensor:
    """All frames of a clip [B, T, ...] from the ranks that share it; every rank must ask."""
    if ranks.per_clip == 1:
        return own
    shares = [torch.empty_like(own) for _ in range(ranks.count)]
    torch.distributed.all_gather(shares, own.contiguous())
    first = ranks.clip_group * ranks.per_clip
    return torch.cat(shares[first : first + ranks.per_clip], dim=1)
