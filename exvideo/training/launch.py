"""A job's ranks: started below DeepSpeed's launcher, here or on nodes, followed to their end."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from exvideo.errors import InputError
from exvideo.supervised import supervised
from exvideo.training.job import TrainingJob
from exvideo.training.launcher import (
    Meeting,
    free_port,
    launch_command,
    launch_environment,
    loopback,
)
from exvideo.training.metrics import Row, read_metrics
from exvideo.training.nodes import ranks_on_nodes
from exvideo.training.rank_progress import Standing, read_standing

POLL_S = 0.5
REFUSED = "REFUSED: "
"""Marks in the ranks' log the line that says what is wrong with the input."""


class TrainingFailed(Exception):  # noqa: N818
    """The ranks ended in an error; the message ends with the last lines of their log."""


class StartedRanks(Protocol):
    """Ranks below one launcher or several."""

    def poll(self) -> int | None:
        """None while they run, then their exit code."""


@contextmanager
def started_ranks(
    job: TrainingJob, module: str, say: Callable[[str], None]
) -> Iterator[StartedRanks]:
    """The job's ranks, running `module` below DeepSpeed's launchers; none outlives the block.

    Args:
        say: told what a start waits for.
    """
    job.standing.unlink(missing_ok=True)
    arguments = [str(job.write())]
    nodes = job.training.nodes
    if nodes is not None:
        with ranks_on_nodes(job, nodes, module, arguments, say) as ranks:
            yield ranks
        return
    meeting = Meeting({"localhost": list(range(job.training.ranks))}, "127.0.0.1", free_port())
    with (
        job.log.open("wb") as log,
        supervised(
            launch_command(module, arguments, meeting),
            launch_environment(job.training.ranks, os.environ, loopback()),
            stdout=log,
            stderr=log,
        ) as ranks,
    ):
        yield ranks


def follow(
    job: TrainingJob,
    ranks: StartedRanks,
    heed: Callable[[list[Row]], None],
    tell: Callable[[Standing], None],
    look: Callable[[], None],
) -> None:
    """Wait for the ranks' end; pass on new rows of metrics, each once, and what they are at.

    `look` is called now and then, and must not take long.

    Raises:
        InputError: if the ranks refuse their input.
        TrainingFailed: if they end in any other error.
        SystemExit: if they were told to stop and wrote a checkpoint.
    """
    seen = 0
    told = None
    code = None
    while code is None:
        code = ranks.poll()
        rows = read_metrics(job.metrics)
        # A resumed job first drops the rows after its checkpoint.
        seen = min(seen, len(rows))
        if rows[seen:]:
            heed(rows[seen:])
            seen = len(rows)
        standing = read_standing(job.standing)
        if standing is not None and standing != told:
            tell(standing)
            told = standing
        look()
        if code is None:
            time.sleep(POLL_S)
    if code == 128 + signal.SIGTERM:
        raise SystemExit(code)
    if code != 0:
        raise _reason(job, code)


def _reason(job: TrainingJob, code: int) -> Exception:
    lines = job.log.read_text(errors="replace").splitlines()
    for line in reversed(lines):
        if line.startswith(REFUSED):
            return InputError(line.removeprefix(REFUSED))
    tail = "\n".join(lines[-25:])
    return TrainingFailed(f"the ranks ended with code {code}; {job.log} ends with:\n{tail}")
