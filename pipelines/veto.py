"""`exvideo veto`: keep a version from becoming the champion, whatever its figures are.

exvideo veto 4 --because "faces melt"
"""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from exvideo.errors import InputError
from pipelines.registry_command import in_registry
from pipelines.stage import add_preset_arguments

if TYPE_CHECKING:
    from exvideo.registry import Registry


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="exvideo veto", description=__doc__.splitlines()[0])
    parser.add_argument("version")
    said = parser.add_mutually_exclusive_group(required=True)
    said.add_argument("--because", help="the reason, written on the version")
    said.add_argument("--lift", action="store_true", help="take a veto or a sign-off back")
    add_preset_arguments(parser)
    return in_registry("veto", parser.parse_args(argv), _veto)


def _veto(registry: "Registry", arguments: argparse.Namespace) -> str:
    from exvideo.evaluation.gate import Judgement

    version = registry.version(arguments.version)
    if arguments.lift:
        registry.lift_judgement(version)
        return f"the gate decides about version {version.number} of {registry.name}"
    champion = registry.champion()
    if champion is not None and champion.number == version.number:
        raise InputError(f"version {version.number} is the champion: use `exvideo rollback`")
    registry.judge(version, Judgement(kind="veto", reason=arguments.because))
    return f"version {version.number} of {registry.name} has a veto: {arguments.because}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
