"""`exvideo demo`: every asset of a preset, materialized by Dagster, and where the results lie."""

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exvideo.config import Preset, load_preset, parse_override
from exvideo.config.machine import check_machine
from exvideo.errors import InputError
from exvideo.receipt import Receipt, read_receipt, stage_folder
from exvideo.screen import Screen
from exvideo.supervisor import GRACE_S
from pipelines.home import Home, prepare_home
from pipelines.stage import add_preset_arguments

STOP_TIMEOUT_S = GRACE_S + 30
"""A stage ends in order first, and then MLflow imports for some seconds."""


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="exvideo demo", description=__doc__)
    add_preset_arguments(parser)
    arguments = parser.parse_args(argv)
    try:
        overrides = dict(parse_override(text) for text in arguments.set)
        preset = load_preset(arguments.preset, overrides)
        check_machine(preset)
    except InputError as error:
        print(f"exvideo demo: {error}", file=sys.stderr)
        return 2
    home = prepare_home(preset)
    log = home.logs / "demo.log"
    with Screen(sys.stderr.fileno()) as screen:
        screen.say(f"starting Dagster; what it and other packages print goes to {log}")
        code, stopped_by = _walk(arguments.preset, overrides, home, log)
        # Until there is a run to settle, Dagster's process lets SIGTERM end it.
        stopped_early = stopped_by is not None and code == -signal.SIGTERM
        if (code < 0 or code == 1) and not stopped_early:
            screen.say(f"Dagster's process ended with code {code}; {log} has its last lines")
            _end_abandoned_runs(home, log, screen)
    if code == 0:
        print(results(preset))
        return 0
    if stopped_by is not None:
        _tell("stopped; the same command goes on from here")
        return 128 + stopped_by
    _tell(
        f"not finished; the reason stands above, and more of it in {log}. "
        f"`exvideo run STAGE --preset {arguments.preset}` runs a stage alone; what was finished "
        "is kept, and the same command goes on from there"
    )
    return 1


def _tell(text: str) -> None:
    with Screen(sys.stderr.fileno()) as screen:
        screen.say(f"exvideo demo: {text}")


def _walk(
    preset: str, overrides: dict[str, Any], home: Home, log: Path
) -> tuple[int, signal.Signals | None]:
    """Run Dagster's program to its end; returns its exit code and the signal that stopped it."""
    received: list[int] = []
    # A shell starts background commands with SIGINT ignored; here it always means stop.
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, lambda signum, _: received.append(signum))
    command = [sys.executable, "-m", "dagster_project.walk", "--preset", preset]
    command += ["--overrides", json.dumps(overrides), "--log", str(log)]
    process = subprocess.Popen(
        command,
        env=home.environment,
        # Its lifeline: whatever ends this process ends the run in order.
        stdin=subprocess.PIPE,
        # A terminal's Ctrl-C reaches us alone.
        start_new_session=True,
    )
    deadline = None
    while process.poll() is None:
        if received and deadline is None:
            process.terminate()
            deadline = time.monotonic() + STOP_TIMEOUT_S
        if deadline is not None and time.monotonic() > deadline:
            process.kill()
        time.sleep(0.1)
    return process.returncode, signal.Signals(received[0]) if received else None


def _end_abandoned_runs(home: Home, log: Path, screen: Screen) -> None:
    """Give the run whose process was killed its end in Dagster and MLflow, and free its slots."""
    screen.doing("giving the interrupted run its end")
    command = [sys.executable, "-m", "dagster_project.abandoned_runs"]
    with log.open("ab") as file:
        told = subprocess.run(
            command, env=home.environment, stdout=subprocess.PIPE, stderr=file, text=True
        )
    screen.say(told.stdout.strip() or "the interrupted run has its end")


def results(preset: Preset) -> str:
    """Where the road's end lies, for a person."""
    model, grid = _made(preset, "post_tuned_model"), _made(preset, "evaluation_grid")
    lines = [
        "",
        f"grid        {_file(preset, grid, 'grid')}",
        f"video       {_file(preset, grid, 'video')}",
        f"model       {_file(preset, model, 'extension')}",
        f"MLflow run  {model.figures.get('MLflow run', '')}",
        "",
        "Both UIs: `make ui` (or `exvideo up`), then",
        "  Dagster   http://127.0.0.1:3000",
        f"  MLflow    {preset.tracking.ui_url}",
    ]
    return "\n".join(lines)


def _made(preset: Preset, stage: str) -> Receipt:
    receipt = read_receipt(stage_folder(preset, stage))
    if receipt is None:
        raise FileNotFoundError(f"{stage} left no receipt in {stage_folder(preset, stage)}")
    return receipt


def _file(preset: Preset, receipt: Receipt, name: str) -> str:
    return str(stage_folder(preset, receipt.stage) / receipt.folder / receipt.files[name])
