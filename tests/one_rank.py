"""A training's only rank, on the CPU: the process that runs the tests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.ports import free_port

if TYPE_CHECKING:
    from exvideo.training.distributed import Ranks
    from exvideo.training.job import TrainingJob


@pytest.fixture(scope="module")
def ranks() -> "Iterator[Ranks]":
    """Joined for a file's tests: others find neither a process group nor its environment."""
    import torch

    from exvideo.training.distributed import join_ranks

    threads = torch.get_num_threads()
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
        torch.set_num_threads(threads)


class Ended:
    """Ranks that have done their work."""

    def poll(self) -> int | None:
        return 0


@pytest.fixture
def trained_here(ranks: "Ranks", monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage's rank is this process, not one below a launcher: what it imports is paid once."""
    from exvideo.progress import Silent
    from exvideo.training import launch
    from exvideo.training.load import load_clips, load_extended_unet
    from exvideo.training.train import Trainer

    @contextmanager
    def started_ranks(job: "TrainingJob", *_: Callable[[str], None] | str) -> Iterator[Ended]:
        job.write()
        clips, held_out = load_clips(job)
        unet = load_extended_unet(job)
        assert Trainer(job, ranks, unet, clips, held_out, Silent()).run()
        yield Ended()

    monkeypatch.setattr(launch, "started_ranks", started_ranks)
