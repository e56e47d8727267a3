"""Which process executes a Dagster run, as a tag of the run, and whether it still lives."""

import os
import socket
import sys
import time
from pathlib import Path
from typing import Self

import dagster as dg
import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from exvideo.supervisor import GRACE_S

TAG = "exvideo/process"


class RunProcess(BaseModel):
    """A process, told apart from every other that ever had its id."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str
    """Whose tag this is: a re-executed run inherits the tags of the run before."""
    host: str
    boot: str
    pid: int
    started: str
    """Opaque; two processes with the same id on the same boot differ in it."""

    @classmethod
    def this_one(cls, run_id: str) -> Self:
        """The process that calls this, as the one that executes `run_id`."""
        pid = os.getpid()
        return cls(run_id=run_id, host=_host(), boot=_boot(), pid=pid, started=str(_started(pid)))

    @classmethod
    def of(cls, run: dg.DagsterRun) -> Self | None:
        """The process that executes a run; None where nothing, or nothing valid, says so."""
        try:
            process = cls.model_validate_json(run.tags.get(TAG, ""))
        except ValidationError:
            return None
        return process if process.run_id == run.run_id else None

    def tags(self) -> dict[str, str]:
        """The tag that a run carries."""
        return {TAG: self.model_dump_json()}

    def is_gone(self) -> bool:
        """Whether it has certainly ended. Of another host's process nothing is certain."""
        if self.host != _host():
            return False
        return self.boot != _boot() or self.started != _started(self.pid)


def await_supervisors(run_id: str) -> None:
    """Wait until what a gone process has left is ended: a stage writes a checkpoint first.

    Its supervisors need not be told; each has lost its lifeline.
    """
    deadline = time.monotonic() + GRACE_S + 5
    while _supervises(run_id) and time.monotonic() < deadline:
        time.sleep(0.2)


def _supervises(run_id: str) -> bool:
    for process in psutil.process_iter():
        try:
            if "exvideo.supervisor" not in process.cmdline():
                continue
            if process.environ().get("DAGSTER_RUN_ID") == run_id:
                return True
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # ended just now, or another user's
    return False


def _host() -> str:
    return socket.gethostname()


def _boot() -> str:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""


def _started(pid: int) -> str | None:
    """When a living process began; None where there is none, or only a zombie of it."""
    if sys.platform.startswith("linux"):
        # Clock ticks since the boot: unlike a date, no correction of the clock moves them.
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    try:
        process = psutil.Process(pid)
        ended = process.status() == psutil.STATUS_ZOMBIE
        return None if ended else str(process.create_time())
    except psutil.NoSuchProcess:
        return None
