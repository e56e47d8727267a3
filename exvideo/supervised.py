"""Start a command below the supervisor, so that it can be ended whole."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO

from exvideo.supervisor import GRACE_S


class SupervisedProcess:
    """A command whose every descendant ends with it, or with the process that started it."""

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
    ) -> None:
        lifeline, self._held = os.pipe()
        try:
            self.process = subprocess.Popen(
                supervisor(lifeline, command),
                env=dict(os.environ if env is None else env),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                # A terminal's Ctrl-C reaches us, not the tree: the lifeline ends it in order.
                start_new_session=True,
                pass_fds=[lifeline],
            )
        finally:
            os.close(lifeline)

    def poll(self) -> int | None:
        return self.process.poll()

    def wait(self, timeout: float | None = None) -> int:
        return self.process.wait(timeout)

    def release(self) -> None:
        """Let go of the lifeline: the command and all its descendants begin to end."""
        if self._held >= 0:
            os.close(self._held)
            self._held = -1

    def end(self) -> int:
        """End the command and all its descendants; returns the exit code."""
        self.release()
        try:
            return self.process.wait(GRACE_S + 4)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def supervisor(lifeline: int, command: Sequence[str]) -> list[str]:
    """The supervisor's own command line."""
    options = ["--lifeline", str(lifeline)]
    return [sys.executable, "-m", "exvideo.supervisor", *options, "--", *command]


@contextmanager
def supervised(
    command: Sequence[str],
    env: Mapping[str, str] | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
) -> Iterator[SupervisedProcess]:
    """Run `command` for the length of the block; leaving it, however, ends the whole tree."""
    process = SupervisedProcess(command, env, stdout, stderr)
    try:
        yield process
    finally:
        process.end()


def run_supervised(command: Sequence[str], env: Mapping[str, str] | None = None) -> int:
    """Run `command` in the foreground; Ctrl-C and SIGTERM end its whole tree.

    Returns its exit code, 128 + the signal's number where a signal ended it.
    """

    def stop(signum: int, _frame: object) -> None:
        raise SystemExit(128 + signum)

    before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        with supervised(command, env) as process:
            return process.wait()
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
