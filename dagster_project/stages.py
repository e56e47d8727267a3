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

import dagster as dg

from dagster_project.preset import PresetResource
from exvideo.config import Preset
from exvideo.receipt import Receipt, read_receipt, stage_folder
from exvideo.supervised import SupervisedProcess, supervised

POLL_S = 3.0
"""How often a running stage looks whether its Dagster run was ended behind its back."""


class Stages(dg.ConfigurableResource):
    """Runs the stages' programs for the run's preset."""

    preset: PresetResource
    dagster_url: str = "http://127.0.0.1:3000"

    def run(self, context: dg.AssetExecutionContext, stage: str) -> Receipt:
        """Run `pipelines.<stage>` to its end, its progress in this run's log.

        Raises `dagster.Failure` with the program's last words where it fails. Leaving this
        function, by any way, ends every process that the program has started.
        """
        command = [sys.executable, "-m", f"pipelines.{stage}", *self.preset.arguments()]
        context.log.info(f"$ {shlex.join(command[1:])}")
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
            raise dg.Failure(
                description=f"{stage} ended with code {code}:\n{stderr.text()}",
                allow_retries=False,
            )
        receipt = read_receipt(stage_folder(self.preset.load(), stage))
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


def _wait(context: dg.AssetExecutionContext, process: SupervisedProcess) -> int:
    while True:
        try:
            return process.wait(POLL_S)
        except subprocess.TimeoutExpired:
            # A forced termination marks the run as ended without telling its process.
            run = context.instance.get_run_by_id(context.run_id)
            if run is None or run.is_finished:
                raise dg.Failure("the run was ended from outside", allow_retries=False) from None
