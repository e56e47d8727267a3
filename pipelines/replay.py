"""`exvideo replay`: a stage's inputs and output, recorded once, against what a later version makes.

exvideo replay latent_shards --record recording   # before a change
exvideo replay latent_shards recording            # after it
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib import import_module
from math import inf
from pathlib import Path

from upath import UPath

from exvideo.compared_files import distance
from exvideo.config import Preset, load_preset, render
from exvideo.errors import InputError
from exvideo.receipt import read_receipt, stage_folder
from pipelines.stage import Stage, add_preset_arguments, chosen_preset

PRESET = "preset.yaml"
"""The recorded preset; the stages' folders lie beside it as they do in a data root."""

STAGES = ("source_videos", "clips", "latent_shards", "post_tuned_model", "evaluation_grid")

NOT_COMPARED = {"receipt.json", "run.lock"}
"""Times, and what was used."""

PAGES = {".html", ".jpg"}
"""Pages name the version that wrote them; a JPEG is the picture beside it, smaller."""


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="exvideo replay", description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("recording", type=Path, nargs="?", help="what --record has written")
    parser.add_argument("--record", type=Path, metavar="FOLDER", help="record the last output")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.0,
        help="largest relative difference of numbers that passes, by default none",
    )
    add_preset_arguments(parser)
    arguments = parser.parse_args(argv)
    if (arguments.record is None) == (arguments.recording is None):
        parser.error("name a recording, or --record FOLDER to make one")
    try:
        if arguments.record is not None:
            return _record(chosen_preset(arguments), arguments.stage, arguments.record)
        return _replay(arguments.stage, arguments.recording, arguments.tolerance)
    except InputError as error:
        print(f"exvideo replay: {error}", file=sys.stderr)
        return 2


def _needed(name: str) -> list[str]:
    """The stages whose outputs a stage reads, and those behind them: rows name files there."""
    stage: Stage = import_module(f"pipelines.{name}").STAGE
    needed = dict.fromkeys(it for direct in stage.inputs for it in [*_needed(direct), direct])
    return list(needed)


def _record(preset: Preset, stage: str, recording: Path) -> int:
    if recording.exists():
        raise InputError(f"{recording} is there already: name another folder, or delete it")
    places = {name: stage_folder(preset, name) for name in [*_needed(stage), stage]}
    outputs = {name: _output(here) for name, here in places.items()}
    for name, here in places.items():
        _copy(outputs[name], recording / name / outputs[name].name)
        (recording / name / "receipt.json").write_bytes((here / "receipt.json").read_bytes())
    (recording / PRESET).write_text(render(preset))
    print(f"recorded {stage} and what it reads in {recording}")
    return 0


def _copy(folder: UPath, target: Path) -> None:
    for file in sorted(it for it in folder.rglob("*") if it.is_file()):
        copied = target / str(file.relative_to(folder))
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes(file.read_bytes())


def _output(here: UPath) -> UPath:
    receipt = read_receipt(here)
    if receipt is None:
        raise InputError(f"there is no output in {here}: run `exvideo run {here.name}` first")
    return here / receipt.folder


def _replay(stage: str, recording: Path, tolerance: float) -> int:
    if not (recording / stage / "receipt.json").is_file():
        raise InputError(f"{recording} is no recording of {stage}: make one with --record")
    preset = load_preset(str(recording / PRESET))
    before = Path(str(_output(UPath(recording / stage))))
    with tempfile.TemporaryDirectory(prefix="replay-") as root:
        for name in _needed(stage):
            shutil.copytree(recording / name, Path(root) / preset.name / name)
        command = [sys.executable, "-m", f"pipelines.{stage}", "--preset"]
        command += [str((recording / PRESET).resolve()), "--set", f"storage.root={root}"]
        command += ["--set", "storage.scratch=null", "--set", "tracking.tracking_uri=null"]
        code = subprocess.run(command, env=dict(os.environ)).returncode
        if code != 0:
            print(f"{stage} ended with code {code}")
            return 1
        after = Path(str(_output(UPath(root) / preset.name / stage)))
        passed = True
        for line, passes in compared(before, after, tolerance):
            passed &= passes
            print(line)
    print(f"{stage} {'is as recorded' if passed else 'differs from the recording'}")
    return 0 if passed else 1


def compared(before: Path, after: Path, tolerance: float) -> Iterator[tuple[str, bool]]:
    """A line for each file, and whether it passes."""
    old, new = _files(before), _files(after)
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new:
            yield f"  {name}: {'is new' if name in new else 'is missing'}", False
            continue
        apart = distance(old[name], new[name])
        told = "equal" if apart == 0 else "differs" + (f" by {apart:.1e}" if apart < inf else "")
        yield f"  {name}: {told}", apart <= tolerance


def _files(folder: Path) -> dict[str, Path]:
    """An output's files, by the receipt's names for those that it names: theirs hold a digest."""
    receipt = read_receipt(UPath(folder))
    named = {file: name for name, file in receipt.files.items()} if receipt else {}
    files = {str(it.relative_to(folder)): it for it in folder.rglob("*") if it.is_file()}
    return {
        named.get(name, name): file
        for name, file in files.items()
        if name not in NOT_COMPARED and file.suffix not in PAGES
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
