"""`limits.gpu_hours` and `limits.cost`: refuse a training that would exceed them, stop one that
does.

python -m pipelines.training_limits < PRESET.json      a step's arithmetic on a rank, FLOP
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exvideo.config import Preset
from exvideo.errors import InputError
from exvideo.training.gpus import peak_tflops
from exvideo.usage import Usage
from pipelines.dry_run import SHARES

if TYPE_CHECKING:
    from exvideo.training.job import TrainingJob
    from exvideo.training.spending import Spending


@dataclass(frozen=True)
class Forecast:
    """What the steps that are left take at least: without validations, starts and checkpoints."""

    usage: Usage
    reason: str


def check_start(preset: Preset, job: "TrainingJob", spending: "Spending", device: str) -> None:
    """Refuse what has nothing left, or would take more than is left.

    Args:
        device: of a training that begins, as CUDA names it.

    Raises `InputError` with the limit's name and the figures.
    """
    if preset.limits.gpu_hours is None and preset.limits.cost is None:
        return
    spent = Usage.total(it.usage for it in spending.earlier)
    for limit in _reached(preset, spent):
        raise InputError(f"{limit} over all attempts ({len(spending.earlier)}): raise it to go on")
    ahead = _measured(job, spending) or _by_arithmetic(preset, device)
    if ahead is None:
        return
    for limit in _reached(preset, Usage.total([spent, ahead.usage])):
        raise InputError(
            f"{limit} with the steps that are left ({ahead.reason}), after "
            f"{_figure(preset, limit, spent)} so far: raise it, or lower training.steps"
        )


def check_on_the_way(preset: Preset, spending: "Spending") -> None:
    """Stop a training that is over a limit, once it has made a step.

    Before that there would be nothing to go on with. Raises `InputError`.
    """
    limited = preset.limits.gpu_hours is not None or preset.limits.cost is not None
    if not limited or not spending.made_steps:
        return
    for limit in _reached(preset, spending.total()):
        raise InputError(
            f"{limit}: the ranks were stopped with a checkpoint; raise it, and the training goes on"
        )


def _reached(preset: Preset, usage: Usage) -> Iterator[str]:
    """A sentence for each limit that `usage` reaches; it begins with the limit's name."""
    limits, currency = preset.limits, preset.prices.currency
    unit = "GPU-hours" if usage.gpu_hours else "rank-hours"
    if limits.gpu_hours is not None and usage.rank_hours >= limits.gpu_hours:
        yield f"limits.gpu_hours ({limits.gpu_hours:g}) is reached: {usage.rank_hours:.3g} {unit}"
    cost = usage.cost(preset.prices) or 0
    if limits.cost is not None and cost >= limits.cost:
        yield f"limits.cost ({limits.cost:g} {currency}) is reached: {cost:.3g} {currency}"


def _figure(preset: Preset, limit: str, usage: Usage) -> str:
    if limit.startswith("limits.cost"):
        return f"{usage.cost(preset.prices) or 0:.3g} {preset.prices.currency}"
    return f"{usage.rank_hours:.3g}"


def _measured(job: "TrainingJob", spending: "Spending") -> Forecast | None:
    """By the last attempt's steps, on as many devices of the same kind."""
    from exvideo.training.job import newest_step
    from exvideo.training.metrics import read_metrics

    rows = [row for row in read_metrics(job.metrics) if "seconds_per_step" in row]
    if not rows or not spending.earlier:
        return None
    last = spending.earlier[-1]
    seconds = rows[-1]["seconds_per_step"]
    left = job.training.steps - (newest_step(job.folder) or 0)
    hours = left * seconds * last.ranks / 3600
    gpu_hours = hours if last.usage.gpu_hours else 0.0
    # All that the attempts' processes did, shared out by their hours.
    spent = Usage.total(it.usage for it in spending.earlier)
    cpu_hours = hours * spent.cpu_hours / spent.rank_hours if spent.rank_hours else 0.0
    usage = Usage(rank_hours=hours, gpu_hours=gpu_hours, cpu_hours=cpu_hours)
    return Forecast(usage, f"{left:,} of {seconds:.3g} s on {last.ranks} ranks, as measured")


def _by_arithmetic(preset: Preset, device: str) -> Forecast | None:
    """`exvideo dry-run`'s at its best share of the card's peak; None where the card has none."""
    peak, share, training = peak_tflops(device), max(SHARES), preset.training
    if peak is None:
        return None
    # Apart: torch would leave a context on the GPU, and the ranks need all of its memory.
    answer = subprocess.run(
        [sys.executable, "-m", "pipelines.training_limits"],
        input=preset.model_dump_json(),
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    seconds = float(answer.splitlines()[-1]) / (share * peak * 1e12)
    hours = training.steps * seconds * training.ranks / 3600
    reason = (
        f"{training.steps:,} of {seconds:.3g} s on {training.ranks} ranks, at {share:.0%} of the "
        f"{device}'s peak"
    )
    return Forecast(Usage(rank_hours=hours, gpu_hours=hours), reason)


def main() -> None:
    from exvideo.training.budget import step_budget

    print(step_budget(Preset.model_validate_json(sys.stdin.read())).step_flops)


if __name__ == "__main__":
    main()
