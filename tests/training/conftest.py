"""One rank, on the CPU, for all tests of a session."""

from collections.abc import Iterator

import pytest
import torch

from exvideo.training.distributed import Ranks, join_ranks
from exvideo.training.launch import free_port


@pytest.fixture(autouse=True)
def torchs_own_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given back after each test: ZeRO-3 replaces it for the whole process, and for good."""
    monkeypatch.setattr(torch.nn.functional, "linear", torch.nn.functional.linear)


@pytest.fixture(scope="session")
def ranks() -> Iterator[Ranks]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "RANK": 0,
            "LOCAL_RANK": 0,
            "WORLD_SIZE": 1,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": free_port(),
        }.items():
            patch.setenv(name, str(value))
        # Shapes this small only lose by a second thread, much so on a busy machine.
        torch.set_num_threads(1)
        with join_ranks() as joined:
            yield joined
