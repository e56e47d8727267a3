"""Workers that take turns at work, the largest first, whoever of them dies over it.

What passes between them and this process is small: plans, windows, scores, no frame and no tensor.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from exvideo.errors import InputError
from exvideo.progress import Progress
from exvideo.ray_cluster import store_is_away

TRIES = 3
"""For a turn whose worker dies or loses the storage, and for a worker that does not start."""

PAUSE_S = 5.0
"""Before a worker goes on that has lost the storage, and twice that where a turn loses it again."""

PATIENCE_S = 30.0
"""After which a silent cluster is worth a line."""

Fault = Literal["code", "storage", "worker"]
"""Another try may help where the storage was away, or the worker has died."""


class Turn(Protocol):
    """What a worker does at a time; `str` names it."""

    @property
    def method(self) -> str:
        """The worker's, which takes `argument`."""

    @property
    def argument(self) -> Any: ...


class Workers(Protocol):
    """Makes workers, which have a method `ready(after_s)` beside those that turns ask for."""

    def hire(self) -> Any:
        """One more worker, which may still be starting."""

    def call(self, worker: Any, method: str, argument: Any) -> tuple[Any, Iterator[Any]]:
        """Begin a call: what `wait` takes, and the results, each there when `wait` says so."""

    def wait(self, calls: Sequence[Any], timeout_s: float) -> Sequence[Any]:
        """Those of which a result is there, one at least, or none by then."""

    def fault_of(self, error: Exception) -> Fault:
        """Whose it is that a call fails."""

    def room(self) -> str:
        """What there is to start workers on."""


class RayWorkers:
    """Actors that are made as `worker(task)`. A method that is a generator gives many results."""

    def __init__(self, worker: type, task: Any, gpus: float = 0) -> None:
        import ray

        self._actor: Any = ray.remote(num_cpus=1, num_gpus=gpus)(worker)
        self._task = task

    def hire(self) -> Any:
        return self._actor.remote(self._task)

    def call(self, worker: Any, method: str, argument: Any) -> tuple[Any, Iterator[Any]]:
        import ray

        call = getattr(worker, method).remote(argument)
        return call, map(ray.get, [call] if isinstance(call, ray.ObjectRef) else call)

    def wait(self, calls: Sequence[Any], timeout_s: float) -> Sequence[Any]:
        import ray

        ready: Sequence[Any] = ray.wait(list(calls), num_returns=1, timeout=timeout_s)[0]
        return ready

    def fault_of(self, error: Exception) -> Fault:
        import ray

        if not isinstance(error, ray.exceptions.RayError):
            return "code"
        if not isinstance(error, ray.exceptions.RayTaskError):
            return "worker"
        return "storage" if isinstance(error, OSError) or store_is_away(error) else "code"

    def room(self) -> str:
        import ray

        return f"Ray has {ray.cluster_resources()}"


AnyTurn = TypeVar("AnyTurn", bound=Turn)


@dataclass
class _Call(Generic[AnyTurn]):
    """What a worker is at: starting or pausing (no turn), or its turn."""

    worker: Any
    turn: AnyTurn | None
    results: Iterator[Any]
    given: int = 0


class Crew(Generic[AnyTurn]):
    """The workers, and the turns that are left."""

    def __init__(self, workers: Workers, turns: Iterable[AnyTurn], progress: Progress) -> None:
        self.left = deque(turns)
        """More may come while results are taken."""
        self._workers, self._progress = workers, progress
        self._idle: list[Any] = []
        self._calls: dict[Any, _Call[AnyTurn]] = {}
        self._tries: Counter[str] = Counter()

    def work(self, workers: int) -> Iterator[tuple[AnyTurn | None, int, Any]]:
        """Every turn's results as they come, counted from 0, anew where a turn is tried again.

        No turn, where a worker has started.

        Raises `RuntimeError` where a turn has failed three times, or by a fault of the code once.
        """
        for _ in range(workers):
            self._call(self._workers.hire())
        while self.left or self._at_work():
            ready = self._workers.wait(list(self._calls), PATIENCE_S)
            for call in ready:
                yield from self._on(call)
            while self._idle and self.left:
                self._call(self._idle.pop(), self.left.popleft())
            if not ready and not self._at_work():
                self._progress.say(f"waiting for a worker to start; {self._workers.room()}")

    def _at_work(self) -> bool:
        return any(call.turn for call in self._calls.values())

    def _call(self, worker: Any, turn: AnyTurn | None = None, after_s: float = 0.0) -> None:
        method, argument = (turn.method, turn.argument) if turn else ("ready", after_s)
        call, results = self._workers.call(worker, method, argument)
        self._calls[call] = _Call(worker, turn, results)

    def _on(self, ready: Any) -> Iterator[tuple[AnyTurn | None, int, Any]]:
        """A worker has a result, has no more of them, or has failed."""
        call = self._calls[ready]
        try:
            result = next(call.results)
        except StopIteration:
            del self._calls[ready]
            # Or a few machines lost in a week of work would end it.
            self._tries.pop(_name(call), None)
            self._idle.append(call.worker)
        except Exception as error:
            del self._calls[ready]
            self._failed(call, error)
        else:
            yield call.turn, call.given, result
            call.given += 1

    def _failed(self, call: _Call[AnyTurn], error: Exception) -> None:
        """Try again where the machine or the storage may be at fault."""
        if isinstance(error, InputError):
            raise error
        fault, what = self._workers.fault_of(error), _name(call)
        self._tries[what] += 1
        if fault == "code" or self._tries[what] == TRIES:
            raise RuntimeError(f"{what} failed, try {self._tries[what]}: {error}") from error
        last_line = str(error).strip().rpartition("\n")[2]
        self._progress.say(f"{what} failed and is tried again: {last_line}")
        if call.turn:
            self.left.append(call.turn)
        if fault == "worker":
            self._call(self._workers.hire())
        else:
            self._call(call.worker, after_s=PAUSE_S * self._tries[what])


def _name(call: _Call[AnyTurn]) -> str:
    return str(call.turn or "a worker's start")
