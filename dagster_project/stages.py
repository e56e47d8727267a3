"""Start a stage's program from an asset and never leave a process of its behind.

Dagster's own subprocess client signals one process; DeepSpeed's ranks outlive it. Here the
program runs below `exvideo.supervisor`, whose lifeline this process holds.
"""

import os
import shlex
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from dagster_project.pool_waits import told_waits
from dagster_project.preset import PresetResource
from dagster_project.run_process import RunProcess
from exvideo.config import Preset
from exvideo.receipt import Receipt, part_of, read_receipt, stage_folder
from exvideo.supervised import SupervisedProcess, supervised

POLL_S = 1.0
"""How often a running stage looks whether its Dagster run was ended behind its back."""

REFUSED = 2
"""A stage's exit code where it only says what is wrong with its settings or inputs."""


class Stages(dg.ConfigurableResource):
    """Runs the stages' programs for the run's preset."""

    preset: PresetResource
    dagster_url: str = "http://127.0.0.1:3000"

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["Stages"]:
        """The run says which process executes it, and what its steps wait for."""
        run, instance = context.run, context.instance
        if run is None or instance is None:
            raise dg.DagsterInvariantViolationError("stages run within a Dagster run only")
        instance.add_run_tags(run.run_id, RunProcess.this_one(run.run_id).tags())
        with told_waits(instance, run):
            yield self

    def run(
        self, context: dg.AssetExecutionContext, stage: str, part: str | None = None
    ) -> Receipt:
        """Run `pipelines.<stage>` to its end, its progress in this run's log.

        `part` names one of the stage's parts. Raises `dagster.Failure` with the program's last
        words where it fails. Leaving this function, by any way, ends every process that the
        program has started.
        """
        command = [sys.executable, "-m", f"pipelines.{stage}", *self.preset.arguments()]
        command += [] if part is None else ["--part", part]
        context.log.info(f"{stage} starts")
        context.log.debug(f"$ {shlex.join(command[1:])}")
        with dg.open_pipes_session(
            context=context,
            context_injector=dg.PipesTempFileContextInjector(),
            message_reader=dg.PipesTempFileMessageReader(),
        ) as session:
            environment = {
                **os.environ,
                **session.get_bootstrap_env_vars(),
                "EXVIDEO_SUPERVISED": "1",
                "DAGSTER_RUN_ID": context.run_id,
                "EXVIDEO_DAGSTER_URL": self.dagster_url,
            }
            with supervised(command, environment, stderr=subprocess.PIPE) as process:
                stderr = _LastWords(process)
                code = _wait(context, process)
        if code != 0:
            raise dg.Failure(_failure(stage, code, stderr.text()), allow_retries=False)
        made = stage if part is None else part_of(stage, part)
        receipt = read_receipt(stage_folder(self.preset.load(), made))
        if receipt is None:
            raise dg.Failure(f"{stage} ended well but left no receipt")
        return receipt

    def finished(self, stage: str) -> tuple[Preset, Receipt]:
        """A stage's last receipt, for the checks of what it has made."""
        preset = self.preset.load()
        receipt = read_receipt(stage_folder(preset, stage))
        if receipt is None:
            raise dg.Failure(f"{stage} has not been made yet for preset {preset.name}")
        return preset, receipt


class _LastWords:
    """Shows a program's stderr as it comes and keeps its end for the error message."""

    def __init__(self, process: SupervisedProcess) -> None:
        self._lines: deque[str] = deque(maxlen=30)
        self._thread = threading.Thread(target=self._read, args=[process], daemon=True)
        self._thread.start()

    def _read(self, process: SupervisedProcess) -> None:
        for line in process.process.stderr or ():
            text = line.decode(errors="replace")
            sys.stderr.write(text)
            self._lines.append(text)

    def text(self) -> str:
        """What the program said last; call it once the program has ended."""
        self._thread.join(timeout=5)
        return "".join(self._lines)


def _failure(stage: str, code: int, last_words: str) -> str:
    """What a person reads of a failed stage: its own message alone where it wrote one."""
    own = f"{stage}: "
    if code == REFUSED and own in last_words:
        return own + last_words.rpartition(own)[2].strip()
    return f"{stage} ended with code {code}:\n{last_words.strip()}"


def _wait(context: dg.AssetExecutionContext, process: SupervisedProcess) -> int:
    while True:
        try:
            return process.wait(POLL_S)
        except subprocess.TimeoutExpired:
            # A forced termination marks the run as ended without telling its process, and
            # signals reach only a process's main thread.
            run = context.instance.get_run_by_id(context.run_id)
            if run is None or run.is_finished or run.status == dg.DagsterRunStatus.CANCELING:
                raise dg.DagsterExecutionInterruptedError from None
