"""`exvideo config`: a preset as it runs, a check of one's own, its keys for editors and people.

exvideo config render --preset tiny --set training.steps=200 > mine.yaml
"""

import argparse
import json
import signal
import sys
from collections.abc import Sequence

from exvideo.config import Preset, load_preset, render
from exvideo.config.machine import check_machine
from exvideo.config.reference import reference
from exvideo.errors import InputError
from pipelines.stage import add_preset_arguments, chosen_preset


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    try:
        _print(arguments.answer(arguments))
    except InputError as error:
        print(f"exvideo config: {error}", file=sys.stderr)
        return 2
    return 0


def _print(text: str) -> None:
    """Whoever reads may have read enough: then this process ends, as any filter does."""
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        print(text, flush=True)
    finally:
        signal.signal(signal.SIGPIPE, before)


def _render(arguments: argparse.Namespace) -> str:
    return render(chosen_preset(arguments)).rstrip()


def _validate(arguments: argparse.Namespace) -> str:
    preset = load_preset(arguments.file)
    check_machine(preset)
    return f"{arguments.file}: the preset {preset.name} is valid and can run on this machine"


def _schema(arguments: argparse.Namespace) -> str:
    return json.dumps(Preset.model_json_schema(), indent=2)


def _reference(arguments: argparse.Namespace) -> str:
    return reference().rstrip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="exvideo config", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="render|validate|schema|reference")
    render_parser = commands.add_parser(
        "render", help="print the whole preset as YAML, defaults and overrides written out"
    )
    add_preset_arguments(render_parser)
    render_parser.set_defaults(answer=_render)
    validate_parser = commands.add_parser(
        "validate", help="check a preset, and whether this machine has what it names"
    )
    validate_parser.add_argument("file", help="a YAML file or a shipped preset's name")
    validate_parser.set_defaults(answer=_validate)
    schema_parser = commands.add_parser(
        "schema",
        help="print the JSON schema; an editor completes keys with it where a file begins with "
        "`# yaml-language-server: $schema=preset.schema.json`",
    )
    schema_parser.set_defaults(answer=_schema)
    reference_parser = commands.add_parser(
        "reference", help="print every key with its type, default and meaning, as Markdown"
    )
    reference_parser.set_defaults(answer=_reference)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
