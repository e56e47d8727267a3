"""`exvideo dry-run`: memory, arithmetic and hours of a post-tuning, before anything starts.

exvideo dry-run --preset svd_128f --gpu h100 --set training.ranks=4
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from exvideo.config import Preset
from exvideo.errors import InputError
from exvideo.training.gpus import GPUS, Gpu
from pipelines.report import open_report
from pipelines.stage import add_preset_arguments, chosen_preset

if TYPE_CHECKING:
    from exvideo.training.budget import Budget

GIB = 2**30
SHARES = (0.3, 0.4, 0.5)
"""Of a card's peak. The paper's own training reached 0.25 to 0.28 of its A100s'."""

SPARE = 0.05
"""Of the memory, for the allocator's gaps and CUDA's own."""


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="exvideo dry-run", description=__doc__.splitlines()[0])
    add_preset_arguments(parser)
    parser.add_argument("--gpu", choices=GPUS, default="h100", help="the card, by default h100")
    arguments = parser.parse_args(argv)
    try:
        preset = chosen_preset(arguments)
        with open_report("dry-run") as progress:
            progress.doing("loading libraries")
            # Nothing is computed: without this torch would wait for a GPU that may be there.
            os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
            from exvideo.training.budget import step_budget

            progress.doing("walking through a step without memory")
            card, step = GPUS[arguments.gpu], step_budget(preset)
    except InputError as error:
        print(f"exvideo dry-run: {error}", file=sys.stderr)
        return 2
    print("\n".join(_lines(preset, card, step)))
    return 0 if _fits(card, step) else 1


def _fits(card: Gpu, step: "Budget") -> bool:
    return step.peak / GIB < card.gib * (1 - SPARE)


def _lines(preset: Preset, card: Gpu, step: "Budget") -> Iterator[str]:
    training = preset.training
    yield (
        f"{preset.name}: {step.parameters:,} parameters, {step.trained:,} of them trained; "
        f"{training.ranks} x {card.name}, ZeRO {training.zero_stage}, "
        f"activation_checkpointing {training.activation_checkpointing}"
    )
    if training.frame_ranks > 1:
        yield f"{training.frame_ranks} GPUs share the {preset.clips.num_frames} frames of a clip"
    yield "\nmemory of a GPU                          GiB"
    for part, size in {
        "weights": step.weights,
        "gradients": step.gradients,
        "optimizer: float32 weights and moments": step.optimizer,
        "averages": step.averages,
        "communication": step.buckets,
        "activations kept for the backward pass": step.kept,
        "what the backward pass adds": step.working,
    }.items():
        yield f"  {part:<38} {size / GIB:>6.2f}"
    verdict = "it fits" if _fits(card, step) else "it does NOT fit: see docs/training.md"
    yield f"  {'at the peak':<38} {step.peak / GIB:>6.2f}   of {card.gib:g}: {verdict}"
    yield f"  {'of the host, for each GPU':<38} {step.host / GIB:>6.2f}"
    flops = step.step_flops / 1e12
    yield (
        f"\na step of {training.batch_size} clips: {flops:,.3g} TFLOP a GPU, "
        f"{step.forward_flops / 1e12:,.3g} of them in the forward pass"
    )
    yield f"\nat a share of {card.tflops:g} TFLOP/s   s a step     hours   GPU-hours"
    for share in SHARES:
        seconds = flops / (share * card.tflops)
        hours = seconds * training.steps / 3600
        yield (f"  {share:<26.0%} {seconds:>9.3g} {hours:>9,.3g} {hours * training.ranks:>11,.4g}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
