"""`exvideo evaluate`: a model beside training-free baselines, from the same first frames and seeds.

exvideo evaluate --model outputs/tiny/post_tuned_model --frames pictures --out report
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upath import UPath

from exvideo.config import Preset
from exvideo.config.places import unwritable
from exvideo.errors import InputError
from exvideo.progress import Progress
from exvideo.receipt import write_atomically
from pipelines.evaluation_grid import drawn_with, real_clips
from pipelines.generate_arguments import BASELINES
from pipelines.measured_table import columns_table, unavailable_lines
from pipelines.named_model import (
    NamedModel,
    check_length,
    check_sizes,
    identity,
    named_model,
    native_frames,
    origin,
)
from pipelines.report import open_report
from pipelines.stage import add_preset_arguments, chosen_preset, stage_input

if TYPE_CHECKING:
    from exvideo.evaluation.numbers import Numbers
    from exvideo.evaluation.samples import FirstFrame, Sample

MODEL = "model"
"""The group of the model's own clips."""


@dataclass(frozen=True)
class Evaluation:
    """What was asked for."""

    model: NamedModel
    baselines: tuple[str, ...]
    preset: Preset
    out: Path


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    try:
        preset = chosen_preset(arguments)
        if existing := unwritable(arguments.out):
            raise InputError(f"--out {arguments.out}: {existing} is no folder to write to")
        with open_report("evaluate") as progress:
            progress.doing("loading libraries")
            model = named_model(arguments.model, preset)
            asked = Evaluation(model, arguments.baselines, preset, arguments.out)
            numbers = _evaluate(asked, arguments.frames, progress)
    except InputError as error:
        print(f"exvideo evaluate: {error}", file=sys.stderr)
        return 2
    print("\n".join(_lines(asked, numbers)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="exvideo evaluate", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--model",
        help="as `exvideo generate` takes it, on this machine (default: the preset's last model)",
    )
    parser.add_argument(
        "--baselines",
        type=_baselines,
        default=BASELINES,
        help=f"all, none, or some with commas between them: {', '.join(BASELINES)} (default: all)",
    )
    parser.add_argument(
        "--frames",
        type=Path,
        metavar="FOLDER",
        help="images to start from (default: the preset's held-out clips, measured as well)",
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    add_preset_arguments(parser)
    return parser


def _baselines(text: str) -> tuple[str, ...]:
    if text in {"all", "none"}:
        return BASELINES if text == "all" else ()
    names = tuple(dict.fromkeys(text.split(",")))
    if unknown := [it for it in names if it not in BASELINES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(BASELINES)}")
    return names


def _evaluate(asked: Evaluation, images: Path | None, progress: Progress) -> "Numbers":
    """Generate what is missing, measure all, and write numbers, clips and the report."""
    from exvideo.evaluation.evaluate import evaluate
    from exvideo.evaluation.flow import load_raft
    from exvideo.evaluation.networks import load_networks
    from exvideo.evaluation.samples import generate_missing
    from exvideo.generation import best_device
    from exvideo.models.positions import walk_period

    preset, config = asked.preset, asked.preset.evaluation
    size = preset.clips
    check_sizes(asked.model.folder, [(size.height, size.width)])
    check_length(asked.model, size.num_frames, "--set clips.num_frames=")
    period = walk_period(native_frames(asked.model), preset.model.table_init)
    raft = load_raft(config.flow, best_device())  # before hours of sampling: its file may lack
    networks = load_networks(config.networks, best_device())
    real, given = _given(asked, images, progress)
    sampling = drawn_with(config, load_precision())
    wanted = wanted_clips(asked, given, sampling)
    generate_missing(wanted, pipeline_loader(asked), size.num_frames, config, progress)
    progress.doing("writing the clips")
    write_clips(asked, wanted)
    numbers, _ = evaluate(
        [*real, *wanted],
        raft,
        0,
        progress,
        fps=config.fps,
        period=period,
        sampling=sampling,
        networks=networks,
    )
    progress.doing("writing the report")
    _write_report(asked, images, numbers, [*real, *wanted])
    return numbers


def _given(
    asked: Evaluation, images: Path | None, progress: Progress
) -> tuple[list["Sample"], list["FirstFrame"]]:
    """The real clips, where it starts from such, and the first frames."""
    from exvideo.evaluation.first_frames import first_frames

    preset = asked.preset
    if images is None:
        inputs = {name: stage_input(preset, name) for name in ("clips", "source_videos")}
        real = real_clips(preset, inputs, asked.out / "frames", progress)
        return real, [it.first_frame for it in real]
    found, unread = first_frames(images, preset.clips.height, preset.clips.width)
    for it in unread:
        progress.say(f"left out: {it}")
    return [], found


def wanted_clips(
    asked: Evaluation, given: Sequence["FirstFrame"], sampling: Mapping[str, Any]
) -> list["Sample"]:
    """The model's clips, then each baseline's, which don't depend on the model but on its base."""
    from exvideo.evaluation.samples import Phase, keyed_samples
    from exvideo.models import base_id

    length = asked.preset.clips.num_frames
    phases = [(Phase(MODEL, 0, None), [identity(asked.model), length, sampling])]
    for name in asked.baselines:
        settings = [base_id(asked.model.base), length, sampling]
        phases.append((Phase(name, 0, None, way=name), settings))
    seeds = asked.preset.evaluation.seeds
    return list(keyed_samples(asked.out / "frames", phases, given, seeds))


def pipeline_loader(asked: Evaluation) -> Any:
    """What `generate_missing` loads the model and its base by, each once."""
    from exvideo.generation import load_base, load_model

    bases: list[Any] = []  # one for all baselines

    def load(phase: Any) -> Any:
        if phase.name == MODEL:
            return load_model(asked.model.path, asked.model.given_base)
        if not bases:
            bases.append(load_base(asked.model.base))
        return bases[0]

    return load


def load_precision() -> str:
    """What a loaded model computes in."""
    from exvideo.generation import default_dtype

    return str(default_dtype()).removeprefix("torch.")


def write_clips(asked: Evaluation, samples: Sequence["Sample"], crf: int = 18) -> None:
    """Each clip as `clips/GROUP/NAME-SEED.mp4`; the model's own tell their origin.

    `crf` is `exvideo.video.write.write_mp4`'s.
    """
    from exvideo.video.write import write_mp4

    for it in samples:
        folder = asked.out / "clips" / it.phase.name
        folder.mkdir(parents=True, exist_ok=True)
        comment = origin(asked.model, it.seed) if it.phase.name == MODEL else None
        path = folder / f"{it.first_frame.clip_id}-{it.seed}.mp4"
        write_mp4(path, it.frames(), asked.preset.evaluation.fps, crf, comment)


def _write_report(
    asked: Evaluation, images: Path | None, numbers: "Numbers", samples: Sequence["Sample"]
) -> None:
    from exvideo.code_version import code_version
    from exvideo.evaluation.report_page import report_page
    from exvideo.evaluation.run_report import run_report
    from exvideo.models import base_id

    native = native_frames(asked.model)
    title = f"{native} frames extended to {numbers.num_frames}: the model beside baselines"
    facts = [
        ("model", asked.model.path),
        ("model's digest", identity(asked.model)),
        ("baselines on", f"{asked.model.base.path}, {base_id(asked.model.base)}"),
        ("first frames from", str(images) if images else "the preset's held-out clips"),
        ("preset", asked.preset.name),
        ("code", code_version()),
    ]
    report = run_report(
        title, numbers, samples, [], facts, ranked_by=MODEL, lineage=_lineage(asked)
    )
    write_atomically(UPath(asked.out / "report.html"), report_page(report))
    write_atomically(UPath(asked.out / "numbers.json"), numbers.model_dump_json(indent=1).encode())


def _lineage(asked: Evaluation) -> list[tuple[str, str]]:
    """What the model was trained on, as far as the stages below the data root tell."""
    from exvideo.config import data_root
    from exvideo.lineage import trace_model
    from exvideo.models import read_metadata
    from exvideo.sources.file_digests import sha256_of

    if asked.model.extension is None:
        return []
    data = read_metadata(asked.model.extension).data_digest
    root = UPath(data_root(asked.preset))
    return trace_model(sha256_of(asked.model.extension), data, root).summary()


def _lines(asked: Evaluation, numbers: "Numbers") -> Iterator[str]:
    clips = len({it.clip_id for it in numbers.samples})
    size = asked.preset.clips
    yield (
        f"{clips} first frames, seeds {', '.join(map(str, asked.preset.evaluation.seeds))}; "
        f"{numbers.num_frames} frames at {numbers.fps:g} a second, {size.width}x{size.height}; "
        f"by {numbers.protocol.estimator}, protocol {numbers.protocol.digest}"
    )
    yield from columns_table([], numbers.summary)
    yield from unavailable_lines(numbers.unavailable)
    if numbers.differences:
        yield ""
        yield f"less the {MODEL}, clip by clip"
        yield from columns_table([], numbers.differences)
    yield ""
    yield f"the report: {asked.out / 'report.html'}; numbers.json and clips/ beside it"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
