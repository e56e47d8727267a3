"""Ray workers that share out the shards. Frames and latents never leave their worker."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from exvideo.config import Precision
from exvideo.errors import InputError
from exvideo.latents.cluster import joins_cluster, ray_cluster
from exvideo.latents.plan import ShardPlan
from exvideo.precision import Choice, choose_precision, choose_precision_apart
from exvideo.progress import Progress

TRIES = 3
"""For a shard whose worker dies or loses the storage, and for a worker that does not start."""

PATIENCE_S = 30.0
"""After which a silent cluster is worth a line."""


@dataclass
class _Turn:
    """What a worker is at: starting (no plan), or writing a shard."""

    worker: Any
    plan: ShardPlan | None = None
    clips: int = 0


def write_shards(
    plans: Sequence[ShardPlan],
    worker: type,
    task: Any,
    workers: int,
    gpus_per_worker: float,
    progress: Progress,
) -> None:
    """Write every planned shard with `workers` Ray actors.

    A worker that dies costs its shard what it had done of it; another one takes the shard over.

    Args:
        worker: made in each actor as `worker(task)`; its `write(plan)` yields once a clip, such
            as `ShardWorker`.
        gpus_per_worker: Ray's share, 0 for none.

    Raises:
        InputError: where this machine lacks the GPUs.
        RuntimeError: where a shard failed three times, or by a fault of the code once.
    """
    if not plans:
        return
    if gpus_per_worker and not joins_cluster():
        _check_gpus(gpus_per_worker)
    workers = min(workers, len(plans))
    with ray_cluster(num_cpus=workers):
        import ray

        actor: Any = ray.remote(num_cpus=1, num_gpus=gpus_per_worker)(worker)
        _Crew(plans, lambda: actor.remote(task), progress).work(workers)


def choose_workers_precision(asked: Precision, gpus_per_worker: float) -> Choice:
    """`choose_precision` for the devices of the workers, which may be another machine's."""
    device = "cuda" if gpus_per_worker else "cpu"
    if not joins_cluster():
        return choose_precision_apart(asked, device)
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


class _Crew:
    """The workers, and the shards that are left to do."""

    def __init__(
        self, plans: Sequence[ShardPlan], hire: Callable[[], Any], progress: Progress
    ) -> None:
        self._left = deque(plans)
        self._hire = hire
        self._progress = progress
        self._clips = sum(len(plan.clips) for plan in plans)
        self._finished_clips = 0
        self._tries: Counter[str] = Counter()
        self._turns: dict[Any, _Turn] = {}

    def work(self, workers: int) -> None:
        import ray

        for _ in range(workers):
            self._start()
        while self._left or self._writing():
            ready, _ = ray.wait(list(self._turns), num_returns=1, timeout=PATIENCE_S)
            for event in ready:
                self._on(event)
            if not ready and not self._writing():
                self._progress.say(f"waiting for a worker; Ray has {ray.cluster_resources()}")

    def _writing(self) -> bool:
        return any(turn.plan for turn in self._turns.values())

    def _start(self) -> None:
        worker = self._hire()
        self._turns[worker.ready.remote()] = _Turn(worker)

    def _give_shard(self, worker: Any) -> None:
        if self._left:
            plan = self._left.popleft()
            clips = worker.write.options(num_returns="streaming").remote(plan)
            self._turns[clips] = _Turn(worker, plan)

    def _on(self, event: Any) -> None:
        """A worker has started, done a clip, finished its shard or failed."""
        import ray

        turn = self._turns[event]
        try:
            if turn.plan is not None:
                ray.get(next(event))
                turn.clips += 1
                self._tell()
                return
            ray.get(event)
        except StopIteration:
            self._finished_clips += turn.clips
        except ray.exceptions.RayError as error:
            del self._turns[event]
            self._failed(turn, error)
            return
        del self._turns[event]
        self._give_shard(turn.worker)

    def _failed(self, turn: _Turn, error: Exception) -> None:
        """Try again where the machine or the storage may be at fault."""
        import ray

        what = turn.plan.name if turn.plan else "a worker's start"
        self._tries[what] += 1
        worker_lives = isinstance(error, ray.exceptions.RayTaskError)
        passing = isinstance(error, OSError) or not worker_lives
        if not passing or self._tries[what] == TRIES:
            raise RuntimeError(f"{what} failed, try {self._tries[what]}: {error}") from error
        self._progress.say(f"{what} failed and is tried again: {_last_line(error)}")
        if turn.plan:
            self._left.append(turn.plan)
        if worker_lives:
            self._give_shard(turn.worker)
        else:
            self._start()

    def _tell(self) -> None:
        done = self._finished_clips + sum(turn.clips for turn in self._turns.values())
        self._progress.update(done, self._clips, "clips")


def _last_line(error: Exception) -> str:
    return str(error).strip().rpartition("\n")[2]
