"""`exvideo measure`: jitter, flicker, drift and the rest of any folder of videos.

exvideo measure my_clips --json numbers.json --html report.html --against other_clips
exvideo measure my_clips --against museum --models
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from exvideo.config import Preset
from exvideo.config.places import unwritable
from exvideo.errors import InputError
from exvideo.progress import Progress
from pipelines.measured_folders import (
    files_by_name,
    found_folders,
    measured_folders,
    write_figure,
    write_folder_report,
)
from pipelines.measured_table import described, folders_table, table, unavailable_lines
from pipelines.report import open_report
from pipelines.stage import add_preset_arguments, chosen_preset

if TYPE_CHECKING:
    from exvideo.evaluation.folder import Comparison, FolderNumbers

FRAMES = 128

SHOWN = 3
"""Of pairs that don't compare, which are often all alike."""


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    try:
        preset = chosen_preset(arguments)
        for option in ("json", "html", "figure"):
            path = getattr(arguments, option)
            if path and (existing := unwritable(path.parent)):
                raise InputError(f"--{option} {path}: {existing} is no folder to write to")
        with open_report("measure") as progress:
            lines = list(_lines(arguments, preset, progress))
    except InputError as error:
        print(f"exvideo measure: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="exvideo measure", description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="a folder, a file or a glob")
    parser.add_argument(
        "--against",
        metavar="OTHER",
        nargs="+",
        action="extend",
        default=[],
        help="others, or what --json wrote of them; videos of the same name are compared",
    )
    parser.add_argument(
        "--models",
        action="store_true",
        help="a folder of folders, each a model's videos named by their prompts, stands for these",
    )
    parser.add_argument(
        "--frames", type=int, default=FRAMES, help=f"of each video at most, by default {FRAMES}"
    )
    parser.add_argument(
        "--period", type=int, help="frames after which a model's positions repeat, for repetition"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every video's numbers")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a report with curves and players"
    )
    parser.add_argument(
        "--figure",
        type=_picture,
        metavar="FILE.png",
        help="draw a row a folder: frames, flow and x-t slice; and FILE.mp4, which plays them all",
    )
    add_preset_arguments(parser)
    return parser


def _picture(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"{text!r} must end in .png")
    return path


def _lines(arguments: argparse.Namespace, preset: Preset, progress: Progress) -> Iterator[str]:
    named = [arguments.folder, *(it for it in arguments.against if not it.endswith(".json"))]
    found, failed = found_folders(named, arguments.models)
    progress.doing("loading libraries")
    from exvideo.evaluation.flow import load_raft
    from exvideo.evaluation.folder import compare, read_numbers, write_numbers
    from exvideo.evaluation.folder_report import folder_names
    from exvideo.evaluation.networks import load_networks
    from exvideo.generation import best_device

    read = [read_numbers(Path(it)) for it in arguments.against if it.endswith(".json")]
    raft = load_raft(preset.evaluation.flow, best_device())
    networks = load_networks(preset.evaluation.networks, best_device())
    measured, unmeasured = measured_folders(
        found,
        raft,
        networks,
        progress,
        needed=arguments.folder,
        num_frames=arguments.frames,
        period=arguments.period,
        timeout_s=preset.clips.decode_timeout_s,
    )
    failed += unmeasured
    if failed and len(measured) + len(read) < 2:
        raise InputError("; ".join(failed))
    first, *others = [*measured, *read]
    first = first.model_copy(update={"against": [compare(first, it) for it in others]})
    if len(others) == 1 and not first.against[0].pairs and first.against[0].fvd is None:
        raise InputError(first.against[0].left_out[0])
    if arguments.json:
        write_numbers(arguments.json, first)
    files = files_by_name([found[it.folder] for it in measured], 1 + len(others))
    if arguments.html:
        progress.doing("writing the report")
        write_folder_report(arguments.html, first, files, preset.clips.decode_timeout_s)
    if arguments.figure:
        progress.doing("drawing the figure")
        write_figure(
            arguments.figure,
            first,
            files,
            raft,
            preset,
            title=" beside ".join(folder_names([first, *others])),
        )
    folders = [first, *others]
    for it in folders:
        yield from described(it)
    yield from (f"left out: {it}" for it in failed)
    if not others:
        yield from table(first.summary)
        yield from unavailable_lines(first.unavailable)
        return
    yield ""
    yield from folders_table(dict(zip(folder_names(folders), folders, strict=True)))
    yield from unavailable_lines(first.unavailable)
    for compared in first.against:
        yield from _compared(first, compared)


def _compared(first: "FolderNumbers", compared: "Comparison") -> Iterator[str]:
    yield ""
    yield f"{first.folder} less {compared.other.folder}, {compared.pairs} videos of the same name"
    for it in compared.left_out[:SHOWN]:
        yield f"  not compared: {it}"
    if len(compared.left_out) > SHOWN:
        yield f"  nor are {len(compared.left_out) - SHOWN} more"
    if compared.pairs:
        yield from table(compared.differences)
    if compared.fvd is not None:
        videos = f"{len(first.videos)} and {len(compared.other.videos)} videos"
        yield f"  fvd, the Fréchet video distance of {videos}: {compared.fvd:.4g}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
