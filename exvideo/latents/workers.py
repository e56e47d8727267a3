"""Ray workers that share out the shards. Frames and latents never leave their worker."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from exvideo.config import Precision
from exvideo.errors import InputError
from exvideo.latents.plan import ShardPlan
from exvideo.latents.speed import Speed, Stopwatch
from exvideo.precision import Choice, choose_precision, choose_precision_apart
from exvideo.progress import Progress
from exvideo.ray_cluster import joins_cluster, ray_cluster
from exvideo.ray_crew import Crew, RayWorkers


@dataclass(frozen=True)
class _ShardTurn:
    argument: ShardPlan
    method: str = "write"

    def __str__(self) -> str:
        return self.argument.name


def write_shards(
    plans: Sequence[ShardPlan],
    worker: type,
    task: Any,
    workers: int,
    gpus_per_worker: float,
    progress: Progress,
) -> Speed | None:
    """Write every planned shard with `workers` Ray actors.

    A worker that dies costs its shard what it had done of it; another one takes the shard over.

    Args:
        worker: made in each actor as `worker(task)`; its `write(plan)` yields `Done` clips, its
            `ready(after_s)` returns so many seconds after it has started. Such as `ShardWorker`.
        gpus_per_worker: Ray's share, 0 for none.

    Returns how fast it went, None where there was nothing to do.

    Raises:
        InputError: where this machine lacks the GPUs.
        RuntimeError: where a shard failed three times, or by a fault of the code once.
    """
    if not plans:
        return None
    if gpus_per_worker and not joins_cluster():
        _check_gpus(gpus_per_worker)
    workers = min(workers, len(plans))
    with ray_cluster(num_cpus=workers):
        crew = Crew(RayWorkers(worker, task, gpus_per_worker), map(_ShardTurn, plans), progress)
        return _speed(crew, plans, workers, progress)


def _speed(
    crew: Crew[_ShardTurn], plans: Sequence[ShardPlan], workers: int, progress: Progress
) -> Speed:
    """Of the work, while which it is told how far it is."""
    clips = [clip for plan in plans for clip in plan.clips]
    done: Counter[str] = Counter()
    stopwatch = Stopwatch(workers)
    for turn, number, result in crew.work(workers):
        if turn is None:
            stopwatch.start()
            continue
        done[turn.argument.name] = number + 1
        stopwatch.count(result)
        progress.update(done.total(), len(clips), "clips", busy=stopwatch.busy)
    return stopwatch.speed(clips)


def choose_workers_precision(asked: Precision, gpus_per_worker: float) -> Choice:
    """`choose_precision` for the devices of the workers, which may be another machine's."""
    device = "cuda" if gpus_per_worker else "cpu"
    if not joins_cluster():
        # A process of its own spares this one a context on the GPU, and takes seconds to start.
        return (choose_precision_apart if gpus_per_worker else choose_precision)(asked, device)
    with ray_cluster(num_cpus=1):
        import ray

        apart: Any = ray.remote(num_cpus=1, num_gpus=gpus_per_worker)(choose_precision)
        choice: Choice = ray.get(apart.remote(asked, device))
    return choice


def _check_gpus(needed: float) -> None:
    import torch

    if needed > torch.cuda.device_count():
        raise InputError(
            f"latents.gpus_per_worker is {needed:g} and this machine has "
            f"{torch.cuda.device_count()} GPUs: set it to 0 to encode on the CPU"
        )
