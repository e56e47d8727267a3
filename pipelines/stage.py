"""What every stage's program shares: arguments, up-to-date check, supervision and receipt.

python -m pipelines.clips --preset tiny --set clips.workers=4
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from upath import UPath

from exvideo.atomic_file import is_local, remove_parts
from exvideo.config import Preset, data_root, load_preset, parse_override
from exvideo.errors import InputError
from exvideo.progress import Progress
from exvideo.receipt import (
    Figure,
    Receipt,
    digest_of,
    read_receipt,
    stage_folder,
    write_receipt,
)
from exvideo.run_lock import only_run
from exvideo.supervised import run_supervised
from pipelines.report import open_report
from pipelines.stage_log import STAGE_LOG, divert_output, last_lines, stage_log

REFUSED = 2
"""Exit code of a stage whose settings or inputs can't be used; it has said why."""

SUPERVISED = "EXVIDEO_SUPERVISED"
"""Set where a supervisor already watches over this process."""


@dataclass(frozen=True)
class StageInput:
    """A finished stage's output."""

    folder: UPath
    receipt: Receipt

    def file(self, name: str) -> UPath:
        """The output file that the receipt lists under `name`."""
        return self.folder / self.receipt.files[name]


@dataclass(frozen=True)
class Job:
    """Everything a stage works with."""

    preset: Preset
    inputs: Mapping[str, StageInput]
    output: UPath
    """Where to write. The same job run again finds there what it had finished."""
    key: str
    work: str
    """Digest of what the work in `scratch` depends on: with an equal one it goes on."""
    scratch: Path
    """A local folder for what must be a file: checkpoints, temporary files."""
    progress: Progress


@dataclass(frozen=True)
class Outcome:
    """What a stage has made."""

    digest: str
    files: dict[str, str] = field(default_factory=dict)
    figures: dict[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """One stretch of the road."""

    name: str
    version: int
    """Raised by hand when the same inputs give another output."""
    inputs: tuple[str, ...]
    sections: Callable[[Preset], Any]
    """The part of the preset that the output depends on."""
    run: Callable[[Job], Outcome]
    grows: bool = False
    """The output's folder outlives a change of the inputs: new rows join the old ones."""
    fingerprint: Callable[[Preset], str] | None = None
    """State of the world outside, such as a folder's listing, that the output depends on."""
    work: Callable[[Preset], Any] | None = None
    """The part of `sections` whose change makes the work in `scratch` start anew; by default all
    of it."""


def main(stage: Stage, argv: Sequence[str] | None = None) -> int:
    """A stage's program. Ctrl-C, or the end of whoever started it, ends its whole tree."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        preset = _preset(stage, arguments)
    except InputError as error:
        print(f"{stage.name}: {error}", file=sys.stderr)
        return REFUSED
    if SUPERVISED not in os.environ:
        return _run_supervised(stage, preset, arguments)
    screen = divert_output()
    try:
        with open_report(stage.name, screen) as progress:
            run_stage(stage, preset, progress)
    except InputError as error:
        os.write(screen, f"{stage.name}: {error}\n".encode())
        return REFUSED
    return 0


def _run_supervised(stage: Stage, preset: Preset, arguments: Sequence[str]) -> int:
    log = stage_log(preset, stage.name)
    command = [sys.executable, "-m", f"pipelines.{stage.name}", *arguments]
    code = run_supervised(command, {**os.environ, SUPERVISED: "1", STAGE_LOG: str(log)})
    if code not in (0, REFUSED):
        told = f"{stage.name} ended with code {code}; {log} ends with:\n{last_lines(log)}"
        print(told, file=sys.stderr)
    return code


def run_stage(stage: Stage, preset: Preset, progress: Progress) -> Receipt:
    """Do what is missing of a stage and return its receipt, once no other run does."""
    with only_run(_lock(preset, stage.name), progress):
        return _run_alone(stage, preset, progress)


def _run_alone(stage: Stage, preset: Preset, progress: Progress) -> Receipt:
    started = time.monotonic()
    here = stage_folder(preset, stage.name)
    inputs = {name: _input(preset, name) for name in stage.inputs}
    key, work = _keys(stage, preset, {name: it.receipt.digest for name, it in inputs.items()})
    receipt = read_receipt(here)
    if receipt is not None and receipt.key == key:
        progress.say(f"up to date: {here / receipt.folder}")
        return receipt
    # A growing output depends on its settings only, so that new inputs add to it.
    folder = (_settings(stage, preset) if stage.grows else key)[:12]
    scratch = _scratch(preset) / stage.name / (folder if stage.grows else work[:12])
    _check_space(preset, scratch)
    (here / folder).mkdir(parents=True, exist_ok=True)
    scratch.mkdir(parents=True, exist_ok=True)
    if is_local(here):
        remove_parts(Path(str(here)))
    outcome = stage.run(Job(preset, inputs, here / folder, key, work, scratch, progress))
    receipt = Receipt(
        stage=stage.name,
        key=key,
        folder=folder,
        digest=outcome.digest,
        files=outcome.files,
        figures=outcome.figures,
        seconds=time.monotonic() - started,
    )
    write_receipt(here, receipt)
    progress.say(f"done in {receipt.seconds:.0f} s: {here / folder}")
    return receipt


def _keys(stage: Stage, preset: Preset, inputs: Mapping[str, str]) -> tuple[str, str]:
    """Digests of what the output depends on, and of what work towards it depends on."""
    outside = stage.fingerprint(preset) if stage.fingerprint else ""

    def key(sections: Any) -> str:
        own = {
            "stage": stage.name,
            "version": stage.version,
            "sections": sections,
            "outside": outside,
        }
        return digest_of([digest_of(own), inputs])

    whole = key(stage.sections(preset))
    return whole, key(stage.work(preset)) if stage.work else whole


def _settings(stage: Stage, preset: Preset) -> str:
    return digest_of([stage.name, stage.version, stage.sections(preset)])


def _input(preset: Preset, name: str) -> StageInput:
    folder = stage_folder(preset, name)
    receipt = read_receipt(folder)
    if receipt is None:
        raise InputError(
            f"needs {name}, which has not been made in {folder}: "
            f"run `exvideo run {name} --preset {preset.name}` first"
        )
    return StageInput(folder / receipt.folder, receipt)


def _scratch(preset: Preset) -> Path:
    if preset.storage.scratch:
        return Path(preset.storage.scratch) / preset.name
    root = UPath(data_root(preset))
    if is_local(root):
        return Path(str(root)) / preset.name / "scratch"
    raise InputError(
        f"storage.root is {root}: name a local folder for checkpoints in storage.scratch"
    )


def _lock(preset: Preset, stage: str) -> Path:
    """Beside the output; an object store has no locks, so there it tells one machine's runs apart.

    Runs of two machines on one object store do double work and write equal objects.
    """
    here = stage_folder(preset, stage)
    return (Path(str(here)) if is_local(here) else _scratch(preset) / stage) / "run.lock"


def _check_space(preset: Preset, scratch: Path) -> None:
    existing = next(p for p in [scratch, *scratch.absolute().parents] if p.exists())
    free = shutil.disk_usage(existing).free / 1e9
    if free < preset.storage.min_free_gb:
        raise InputError(
            f"{existing} has {free:.1f} GB free, storage.min_free_gb asks for "
            f"{preset.storage.min_free_gb:g}: free some space or point storage.scratch and "
            "storage.root elsewhere"
        )


def _preset(stage: Stage, arguments: Sequence[str]) -> Preset:
    parser = argparse.ArgumentParser(prog=f"pipelines.{stage.name}", description=stage.run.__doc__)
    add_preset_arguments(parser)
    return chosen_preset(parser.parse_args(arguments))


def add_preset_arguments(parser: argparse.ArgumentParser) -> None:
    """`--preset NAME` and `--set KEY=VALUE`, the same for every command."""
    parser.add_argument("--preset", default="tiny", help="a shipped preset's name or a YAML file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override one setting"
    )


def chosen_preset(arguments: argparse.Namespace) -> Preset:
    """The preset that `add_preset_arguments`' options name; raises `PresetError`."""
    return load_preset(arguments.preset, dict(parse_override(text) for text in arguments.set))
