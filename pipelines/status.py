"""`exvideo status`: what is fresh, what is stale and why, what runs, and what failed last.

exvideo status --preset tiny
"""

import argparse
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from upath import UPath

from exvideo.atomic_file import is_local
from exvideo.config import Preset, data_root
from exvideo.errors import InputError
from exvideo.receipt import Receipt, read_receipt, stage_folder
from pipelines.stage import Stage, add_preset_arguments, chosen_preset, key_of

ROAD = ("source_videos", "clips", "latent_shards", "post_tuned_model", "evaluation_grid")
"""Whether the champion's stage is fresh only MLflow knows, whose import takes seconds."""


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="exvideo status", description=__doc__.splitlines()[0])
    add_preset_arguments(parser)
    arguments = parser.parse_args(argv)
    try:
        preset = chosen_preset(arguments)
        # Both import for seconds: side by side, and while the stages are told.
        registry, dagster = _registry(preset, argv), _dagster(preset)
        for line in (*_stages(preset), *_champion(preset, registry), *_runs(dagster)):
            print(line)
    except InputError as error:
        print(f"exvideo status: {error}", file=sys.stderr)
        return 2
    return 0


def _stages(preset: Preset) -> Iterator[str]:
    """A line a stage; what comes after a stale one is stale, too."""
    stale: list[str] = []
    for name in ROAD:
        stage: Stage = import_module(f"pipelines.{name}").STAGE
        receipt = read_receipt(stage_folder(preset, name))
        state = _state(stage, preset, receipt, stale)
        if state != "fresh":
            stale.append(name)
        made = f", made {receipt.created:%d %B %Y, %H:%M} UTC" if receipt else ""
        running = "; runs now" if _runs_now(preset, name) else ""
        yield f"{name:<17} {state}{made}{running}"


def _champion(preset: Preset, asked: subprocess.Popen[str] | None) -> Iterator[str]:
    """Who is the champion, by whom; and what the gate last said where that was of another one."""
    if asked is None:
        return
    out, err = asked.communicate()
    if asked.returncode:
        yield f"{'champion':<17} MLflow's registry can't be read: {_last_line(err)}"
        return
    champion: dict[str, str] | None = json.loads(out)
    told = f"version {champion['number']} ({champion['said']})" if champion else "none"
    receipt = read_receipt(stage_folder(preset, "champion"))
    if receipt is not None and not receipt.figures["passes"]:
        told += f"; {receipt.figures['candidate']} refused: {receipt.figures['reason']}"
    yield f"{'champion':<17} {told}"


def _registry(preset: Preset, argv: Sequence[str]) -> subprocess.Popen[str] | None:
    """Asks MLflow who is the champion; None where nothing can be registered yet."""
    root = UPath(data_root(preset))
    embedded = is_local(root) and (Path(str(root)) / "mlflow" / "mlflow.db").exists()
    if preset.tracking.tracking_uri is None and not embedded:
        return None
    return _started(["-m", "pipelines.registered", *argv], os.environ)


def _started(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _state(stage: Stage, preset: Preset, receipt: Receipt | None, stale: Sequence[str]) -> str:
    if receipt is None:
        return "not made yet"
    if before := [name for name in stage.inputs if name in stale]:
        return f"stale: {before[-1]} is"
    now = {}
    for name in stage.inputs:
        made = read_receipt(stage_folder(preset, name))
        now[name] = made.digest if made else ""
    if key_of(stage, preset, now) == receipt.key:
        return "fresh"
    changed = [name for name in stage.inputs if receipt.inputs.get(name, now[name]) != now[name]]
    if changed:
        return f"stale: {', '.join(changed)} made anew since"
    outside = "the files it reads, " if stage.fingerprint else ""
    return f"stale: {outside}its settings or the stage itself changed since"


def _runs_now(preset: Preset, stage: str) -> bool:
    """Whether somebody holds the stage's lock; of an object store nothing is known."""
    here = stage_folder(preset, stage)
    lock = Path(str(here)) / "run.lock"
    if not is_local(here) or not lock.exists():
        return False
    with lock.open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _dagster(preset: Preset) -> subprocess.Popen[str] | Path:
    """Asks Dagster for its runs; where it has no home, the file that it lacks."""
    root = UPath(data_root(preset))
    below = Path(str(root)).absolute() / "dagster" if is_local(root) else Path("outputs/dagster")
    home = Path(os.environ.get("DAGSTER_HOME") or below).absolute()
    if not (home / "dagster.yaml").is_file():
        return home / "dagster.yaml"
    environment = {**os.environ, "DAGSTER_HOME": str(home)}
    return _started(["-m", "dagster_project.run_list"], environment)


def _runs(asked: subprocess.Popen[str] | Path) -> Iterator[str]:
    if isinstance(asked, Path):
        yield f"no Dagster run: there is no {asked}"
        return
    out, err = asked.communicate()
    if asked.returncode:
        yield f"Dagster's runs can't be read: {_last_line(err)}"
        return
    runs: dict[str, Any] = json.loads(out)
    for run in runs["running"]:
        yield f"running: {_run(run)}"
    if not runs["running"]:
        yield "no Dagster run is under way"
    if runs["failed"]:
        yield f"failed last: {_run(runs['failed'])}"


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def _run(run: dict[str, str]) -> str:
    return f"{run['job']} {run['run'][:8]}, {run['said']}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
