"""A job's ranks: started below DeepSpeed's launcher, followed to their end.

The launcher is this module run as a program, so that no heavy import happens twice.
"""

import base64
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from exvideo.errors import InputError
from exvideo.supervised import SupervisedProcess, supervised
from exvideo.training.job import TrainingJob
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
    command = launch_command(module, [str(job.write())], config.ranks)
    environment = launch_environment(config.ranks)
    with (
        job.log.open("wb") as log,
        supervised(command, environment, stdout=log, stderr=log) as ranks,
    ):
        yield ranks


def follow(
    job: TrainingJob,
    ranks: SupervisedProcess,
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


def launch_command(module: str, arguments: Sequence[str], ranks: int) -> list[str]:
    """The command that runs `python -m module arguments` as `ranks` processes on this node.

    That is DeepSpeed's per-node launcher at once: its runner would only import everything once
    more to start the same.
    """
    world = base64.urlsafe_b64encode(json.dumps({"localhost": list(range(ranks))}).encode())
    meeting = ["--master_addr=127.0.0.1", f"--master_port={free_port()}"]
    program = ["--module", "--no_local_rank", module, *arguments]
    launcher = [sys.executable, "-m", "exvideo.training.launch"]
    return [*launcher, f"--world_info={world.decode()}", *meeting, *program]


def launch_environment(ranks: int) -> dict[str, str]:
    """This process's environment, with the cores shared out between the ranks."""
    environment = dict(os.environ)
    threads = max(1, len(os.sched_getaffinity(0)) // ranks)
    environment.setdefault("OMP_NUM_THREADS", str(threads))
    # Threads that spin while they wait hold each other up wherever others compute, too: on two
    # cores under a load of ten a small step took 30 s, and 1.7 s without spinning.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    environment.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # equal sums every time
    if sys.platform.startswith("linux"):
        # Gloo would otherwise meet on the address that the host's name resolves to.
        environment.setdefault("GLOO_SOCKET_IFNAME", "lo")
    return environment


def free_port() -> int:
    """A port on the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main() -> None:
    from exvideo.training.distributed import import_deepspeed

    import_deepspeed()
    from deepspeed.launcher import launch

    launch.main()


if __name__ == "__main__":
    main()
