"""`exvideo promote`: the preset's new model through the gate, or a version by a person's word.

exvideo promote --preset tiny
exvideo promote 3 --because "sharper, worth the jitter"
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
    parser = argparse.ArgumentParser(prog="exvideo promote", description=__doc__.splitlines()[0])
    parser.add_argument("version", nargs="?", help="without it, the gate decides about the newest")
    parser.add_argument("--because", default="by hand", help="written on the version")
    add_preset_arguments(parser)
    arguments = parser.parse_args(argv)
    if arguments.version is None:
        from pipelines import champion
        from pipelines.stage import main as run_program

        sets = [word for setting in arguments.set for word in ("--set", setting)]
        return run_program(champion.STAGE, ["--preset", arguments.preset, *sets])
    return in_registry("promote", arguments, _promote)


def _promote(registry: "Registry", arguments: argparse.Namespace) -> str:
    from exvideo.evaluation.gate import Judgement

    version = registry.version(arguments.version)
    said = version.judgement
    if said is not None and said.kind == "veto":
        raise InputError(
            f"version {version.number} has a veto: {said.reason}; "
            f"`exvideo veto {version.number} --lift` takes it back"
        )
    registry.judge(version, Judgement(kind="sign-off", reason=arguments.because))
    registry.promote(version)
    return f"version {version.number} of {registry.name} is the champion: {arguments.because}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
