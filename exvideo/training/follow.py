"""The program that starts a job's ranks: it waits for them and passes on what they report."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from exvideo.errors import InputError
from exvideo.supervised import SupervisedProcess, supervised
from exvideo.training.job import TrainingJob
from exvideo.training.launcher import launch_command, launch_environment
from exvideo.training.metrics import Row, read_metrics
from exvideo.training.rank_progress import Standing, read_standing

POLL_S = 0.5
REFUSED = "REFUSED: "
"""Marks in the ranks' log the line that says what is wrong with the input."""


class TrainingFailed(Exception):  # noqa: N818
    """The ranks ended in an error; the message ends with the last lines of their log."""


@contextmanager
def started_ranks(job: TrainingJob, module: str) -> Iterator[SupervisedProcess]:
    """The job's ranks, running `module` below DeepSpeed's launcher; none outlives the block."""
    config = job.training
    job.standing.unlink(missing_ok=True)
    command = launch_command(module, [str(job.write())], config.ranks, config.hostfile)
    with (
        job.log.open("wb") as log,
        supervised(
            command, launch_environment(config.ranks, config.hostfile), stdout=log, stderr=log
        ) as ranks,
    ):
        yield ranks


def follow(
    job: TrainingJob,
    ranks: SupervisedProcess,
    heed: Callable[[list[Row]], None],
    tell: Callable[[Standing], None],
) -> None:
    """Wait for the ranks' end; pass on new rows of metrics, each once, and what they are at.

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
