"""`exvideo measure`: jitter, flicker, drift and the rest of any folder of videos.

exvideo measure my_clips --json numbers.json --against other_clips
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from exvideo.config import Preset
from exvideo.config.places import unwritable
from exvideo.errors import InputError
from exvideo.progress import Progress
from exvideo.sources.local import find_local
from pipelines.report import open_report
from pipelines.stage import add_preset_arguments, chosen_preset

if TYPE_CHECKING:
    from exvideo.evaluation.folder import FolderNumbers
    from exvideo.evaluation.numbers import Estimate, Metric

FRAMES = 128


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    try:
        preset = chosen_preset(arguments)
        if arguments.json and (existing := unwritable(arguments.json.parent)):
            raise InputError(f"--json {arguments.json}: {existing} is no folder to write to")
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
        help="another one, or what --json wrote of it; videos of the same name are compared",
    )
    parser.add_argument(
        "--frames", type=int, default=FRAMES, help=f"of each video at most, by default {FRAMES}"
    )
    parser.add_argument(
        "--period", type=int, help="frames after which a model's positions repeat, for repetition"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every video's numbers")
    add_preset_arguments(parser)
    return parser


def _lines(arguments: argparse.Namespace, preset: Preset, progress: Progress) -> Iterator[str]:
    known = str(arguments.against).endswith(".json")
    folders = [arguments.folder]
    folders += [arguments.against] if arguments.against and not known else []
    files = [_videos(it) for it in folders]
    progress.doing("loading libraries")
    from exvideo.evaluation.flow import load_raft
    from exvideo.evaluation.folder import compare, measure_folder, read_numbers, write_numbers
    from exvideo.generation import best_device

    raft = load_raft(preset.evaluation.flow, best_device())
    measured = [
        measure_folder(
            folder,
            found,
            raft,
            progress,
            num_frames=arguments.frames,
            period=arguments.period,
            timeout_s=preset.clips.decode_timeout_s,
        )
        for folder, found in zip(folders, files, strict=True)
    ]
    if known:
        measured.append(read_numbers(Path(arguments.against)))
    if arguments.json:
        write_numbers(arguments.json, measured[0])
    for it in measured:
        yield from _described(it)
        yield from _table(it.summary)
        yield ""
    if arguments.against:
        yield f"{arguments.folder} less {arguments.against}, videos of the same name"
        yield from _table(compare(*measured))


def _videos(folder: str) -> Sequence[Path]:
    try:
        return find_local([folder]).files
    except InputError as error:
        raise InputError(str(error).removeprefix("source.paths: ")) from error


def _described(numbers: "FolderNumbers") -> Iterator[str]:
    forms = {(it.num_frames, it.fps, it.width, it.height) for it in numbers.videos}
    shown = "; ".join(f"{n} frames at {fps:g} a second, {w}x{h}" for n, fps, w, h in sorted(forms))
    by = f"{numbers.protocol.estimator}, protocol {numbers.protocol.digest}"
    yield f"{numbers.folder}: {len(numbers.videos)} videos ({shown}), by {by}"
    for it in numbers.unmeasured:
        yield f"  not measured: {it.name}: {it.reason}"
    if len({form[:2] for form in forms}) > 1:
        yield "  their lengths or rates differ, and with them what the means compare"


def _table(summary: Mapping["Metric", "Estimate"]) -> Iterator[str]:
    from exvideo.evaluation.intervals import MIN_CLIPS

    yield f"  {'metric':<24}{'mean':>10}   {'95 % interval':<22}{'videos':>6}"
    for name, it in summary.items():
        if it.mean is not None:
            bounds = "" if it.interval is None else f"{it.interval[0]:.4g} to {it.interval[1]:.4g}"
            yield f"  {name:<24}{it.mean:>10.4g}   {bounds:<22}{it.samples:>6}"
    fewest = min((it.samples for it in summary.values() if it.samples), default=0)
    if fewest < MIN_CLIPS:
        yield f"  an interval takes {MIN_CLIPS} videos or more"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
