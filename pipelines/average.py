"""`exvideo average`: an average of any width from a finished training's snapshots.

exvideo average .../snapshots --width 0.08 --out model.safetensors
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from exvideo.errors import InputError
from pipelines.report import open_report


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="exvideo average", description=__doc__.splitlines()[0])
    parser.add_argument("snapshots", type=Path, help="the folder that training.snapshot_every made")
    parser.add_argument(
        "--width",
        type=float,
        required=True,
        help="how much of the training is averaged over: the profile's standard deviation as a "
        "share of it, such as 0.05 or 0.1",
    )
    parser.add_argument("--step", type=int, help="the average at that step, by default the newest")
    parser.add_argument("--out", type=Path, required=True, help="the extension's file")
    arguments = parser.parse_args(argv)
    try:
        with open_report("average") as progress:
            progress.doing("loading libraries")
            from exvideo.training.post_hoc_ema import average_of, find_snapshots

            found = find_snapshots(arguments.snapshots)
            if not found:
                raise InputError(
                    f"{arguments.snapshots} has no snapshots: train with training.snapshot_every, "
                    "and name the folder that the stage's figures name"
                )
            step = found[-1].step if arguments.step is None else arguments.step
            progress.doing(f"adding up {len(found)} snapshots")
            missed = average_of(found, arguments.width, step, arguments.out)
    except InputError as error:
        print(f"exvideo average: {error}", file=sys.stderr)
        return 2
    print(
        f"{arguments.out}: the average of width {arguments.width:g} at step {step}; "
        f"{missed:.2%} of its profile is out of the snapshots' reach"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
