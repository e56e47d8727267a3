"""`exvideo rollback`: the champion's predecessor takes its place again.

exvideo rollback --because "faces melt"
"""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.registry_command import in_registry
from pipelines.stage import add_preset_arguments

if TYPE_CHECKING:
    from exvideo.registry import Registry


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="exvideo rollback", description=__doc__.splitlines()[0])
    parser.add_argument("--because", default="rolled back", help="the fallen version's veto")
    add_preset_arguments(parser)
    return in_registry("rollback", parser.parse_args(argv), _roll_back)


def _roll_back(registry: "Registry", arguments: argparse.Namespace) -> str:
    fallen, restored = registry.roll_back(arguments.because)
    return (
        f"version {restored.number} of {registry.name} is the champion again; "
        f"version {fallen.number} has a veto: {arguments.because}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
