"""What every stage's program shares: arguments, up-to-date check, supervision and receipt.

python -m pipelines.clips --preset tiny --set clips.workers=4
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    part_of,
    read_receipt,
    stage_folder,
    write_receipt,
)
from exvideo.run_lock import only_run
from exvideo.supervised import run_supervised
from exvideo.usage import Meter, Usage, metered
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
    meter: Meter
    """What this run has used so far."""


@dataclass(frozen=True)
class Outcome:
    """What a stage has made."""

    digest: str
    files: dict[str, str] = field(default_factory=dict)
    figures: dict[str, Figure] = field(default_factory=dict)
    gpus: float = 0
    """That the stage has held while it ran."""
    usage: Usage | None = None
    """Where there is more to it than this run."""


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
    place: Callable[[Preset], Any] | None = None
    """Of what grows, the part of `sections` whose change makes it a new folder; by default all."""
    fingerprint: Callable[[Preset], str] | None = None
    """State of the world outside, such as a folder's listing, that the output depends on."""
    work: Callable[[Preset], Any] | None = None
    """The part of `sections` whose change makes the work in `scratch` start anew; by default all
    of it."""
    parts: Callable[[Preset], Mapping[str, Preset]] | None = None
    """Of a stage that runs for one part of a preset at a time, the part's presets by name."""


def main(stage: Stage, argv: Sequence[str] | None = None) -> int:
    """A stage's program. Ctrl-C, or the end of whoever started it, ends its whole tree."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        preset, part = _chosen(stage, arguments)
    except InputError as error:
        print(f"{stage.name}: {error}", file=sys.stderr)
        return REFUSED
    if SUPERVISED not in os.environ:
        return _run_supervised(stage, preset, arguments, part)
    screen = divert_output()
    try:
        with open_report(stage.name, screen) as progress:
            run_stage(stage, preset, progress, part)
    except InputError as error:
        os.write(screen, f"{stage.name}: {error}\n".encode())
        return REFUSED
    return 0


def _run_supervised(
    stage: Stage, preset: Preset, arguments: Sequence[str], part: str | None
) -> int:
    log = stage_log(preset, stage.name if part is None else part_of(stage.name, part))
    command = [sys.executable, "-m", f"pipelines.{stage.name}", *arguments]
    code = run_supervised(command, {**os.environ, SUPERVISED: "1", STAGE_LOG: str(log)})
    if code not in (0, REFUSED):
        told = f"{stage.name} ended with code {code}; {log} ends with:\n{last_lines(log)}"
        print(told, file=sys.stderr)
    return code


def run_stage(stage: Stage, preset: Preset, progress: Progress, part: str | None = None) -> Receipt:
    """Do what is missing of a stage and return its receipt, once no other run does.

    `part` is one of a stage's that has parts: it has a folder and a lock of its own.
    """
    if part is not None and stage.parts is not None:
        preset = stage.parts(preset)[part]
        stage = replace(stage, name=part_of(stage.name, part))
    with only_run(lock_of(preset, stage.name), progress):
        return _run_alone(stage, preset, progress)


def _run_alone(stage: Stage, preset: Preset, progress: Progress) -> Receipt:
    started = time.monotonic()
    here = stage_folder(preset, stage.name)
    inputs = {name: stage_input(preset, name) for name in stage.inputs}
    made_from = {name: it.receipt.digest for name, it in inputs.items()}
    key, work = _keys(stage, preset, made_from)
    receipt = read_receipt(here)
    if receipt is not None and receipt.key == key:
        progress.say(f"up to date: {here / receipt.folder}")
        return receipt
    # A growing output depends on its settings only, so that new inputs add to it.
    folder = growing_folder(stage, preset) if stage.grows else key[:12]
    scratch = _scratch(preset) / stage.name / (folder if stage.grows else work[:12])
    _check_space(preset, scratch)
    (here / folder).mkdir(parents=True, exist_ok=True)
    scratch.mkdir(parents=True, exist_ok=True)
    if is_local(here):
        remove_parts(Path(str(here)))
    with metered() as meter:
        outcome = stage.run(Job(preset, inputs, here / folder, key, work, scratch, progress, meter))
        usage = outcome.usage or _held(meter.usage(), outcome.gpus)
    receipt = Receipt(
        stage=stage.name,
        key=key,
        folder=folder,
        inputs=made_from,
        digest=outcome.digest,
        files=outcome.files,
        figures={**outcome.figures, **usage.figures(preset.prices)},
        seconds=time.monotonic() - started,
    )
    write_receipt(here / folder, receipt)  # stays with what it tells of when the next one is made
    write_receipt(here, receipt)
    progress.say(f"done in {receipt.seconds:.0f} s: {here / folder}")
    return receipt


def _held(usage: Usage, gpus: float) -> Usage:
    return usage.model_copy(update={"gpu_hours": gpus * usage.wall_hours})


def key_of(stage: Stage, preset: Preset, inputs: Mapping[str, str]) -> str:
    """The key that a receipt would have now; `inputs` are the digests of what it is made from."""
    return _keys(stage, preset, inputs)[0]


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


def growing_folder(stage: Stage, preset: Preset) -> str:
    """The folder, relative to the stage's, that what it makes for this preset grows in."""
    return digest_of([stage.name, stage.version, (stage.place or stage.sections)(preset)])[:12]


def stage_input(preset: Preset, name: str) -> StageInput:
    """The last output of a stage. Raises `InputError` where there is none."""
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


def lock_of(preset: Preset, stage: str) -> Path:
    """What a stage's run holds while it works, beside the output.

    An object store has no locks, so there it tells one machine's runs apart. Runs of two machines
    on one object store do double work and write equal objects.
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


def _chosen(stage: Stage, arguments: Sequence[str]) -> tuple[Preset, str | None]:
    """The preset, and the part that a stage with parts runs for."""
    parser = argparse.ArgumentParser(prog=f"pipelines.{stage.name}", description=stage.run.__doc__)
    add_preset_arguments(parser)
    if stage.parts is not None:
        parser.add_argument("--part", required=True, help="which one, by its name in the preset")
    chosen = parser.parse_args(arguments)
    preset = chosen_preset(chosen)
    if stage.parts is None:
        return preset, None
    parts = stage.parts(preset)
    if chosen.part not in parts:
        there = f"there are {', '.join(parts)}" if parts else "its source has no parts"
        raise InputError(f"preset {preset.name} has no part {chosen.part!r}: {there}")
    return preset, chosen.part


def add_preset_arguments(parser: argparse.ArgumentParser) -> None:
    """`--preset NAME` and `--set KEY=VALUE`, the same for every command."""
    parser.add_argument("--preset", default="tiny", help="a shipped preset's name or a YAML file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override one setting"
    )


def chosen_preset(arguments: argparse.Namespace) -> Preset:
    """The preset that `add_preset_arguments`' options name; raises `PresetError`."""
    return load_preset(arguments.preset, dict(parse_override(text) for text in arguments.set))
