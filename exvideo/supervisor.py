"""Run one command and never leave a process of its behind.

DeepSpeed and torchrun put ranks into sessions of their own and Ray detaches its daemons, so
neither a signal to the child nor one to its process group reaches everything. This program
makes itself the reaper of all its descendants, and ends every one of them when the command
ends, when it is told to stop, or when whoever started it dies: that closes the lifeline, a
pipe whose other end only the starter holds.

    python -m exvideo.supervisor --lifeline FD -- COMMAND [ARG ...]
"""

import argparse
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

import psutil

GRACE_S = 30.0
"""Between SIGTERM and SIGKILL: at full size, time to end a step and to write a checkpoint."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="exvideo.supervisor")
    parser.add_argument("--lifeline", type=int, required=True)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args(argv)
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        parser.error("there is no command to run")

    wake, alarm = os.pipe()
    os.set_blocking(alarm, False)
    signal.set_wakeup_fd(alarm)
    for stop in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(stop, _remember)
    _adopt_orphans()
    child = subprocess.Popen(command, close_fds=True, preexec_fn=_end_with_supervisor)
    code = _wait(child, arguments.lifeline, wake)
    end_descendants(GRACE_S)
    return 128 - code if code < 0 else code


_stops: list[int] = []


def _remember(signum: int, _frame: object) -> None:
    if signum != signal.SIGCHLD:
        _stops.append(signum)


def _wait(child: subprocess.Popen[bytes], lifeline: int, wake: int) -> int:
    """Wait for the command's end or a reason to end it; returns its code, or minus a signal."""
    while True:
        code = child.poll()
        if code is not None:
            return code
        if _stops:
            return -_stops[0]
        readable, _, _ = select.select([lifeline, wake], [], [], 5.0)
        if wake in readable:
            os.read(wake, 1024)
        if lifeline in readable and not os.read(lifeline, 1024):
            return -signal.SIGTERM


def _adopt_orphans() -> None:
    """Make daemonised descendants children of this process instead of init's.

    Elsewhere than on Linux psutil still finds every descendant that did not detach itself.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _end_with_supervisor() -> None:
    """In the command's process: SIGTERM should SIGKILL take the supervisor (Linux).

    What the command has started is then its own to end; a stage ends its ranks, whose supervisor
    holds a lifeline from it.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value}) failed")


def end_descendants(grace_s: float) -> None:
    """SIGTERM to every descendant, then SIGKILL to those that outlive the grace."""
    deadline = time.monotonic() + grace_s
    told: set[psutil.Process] = set()
    while descendants := _living_descendants():
        overdue = time.monotonic() > deadline
        for process in descendants:
            # A descendant that starts others while it is ended is caught on the next round.
            if overdue or process not in told:
                _signal(process, signal.SIGKILL if overdue else signal.SIGTERM)
                told.add(process)
        time.sleep(0.05)
    _reap()  # those that ended during the last look: a container's init may never reap them


def _living_descendants() -> list[psutil.Process]:
    _reap()
    living = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                living.append(process)
        except psutil.NoSuchProcess:
            continue
    return living


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return


def _signal(process: psutil.Process, signum: int) -> None:
    try:
        process.send_signal(signum)
    except psutil.NoSuchProcess:
        return


if __name__ == "__main__":
    sys.exit(main())
