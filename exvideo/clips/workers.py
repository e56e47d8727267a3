"""Workers on the cluster that RAY_ADDRESS names, or threads of this process where none is named."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from typing import Any

from exvideo.clips.transnet import TransNet
from exvideo.clips.video_worker import ScoringTask, VideoWorker
from exvideo.ray_cluster import joins_cluster, ray_cluster
from exvideo.ray_crew import Fault, RayWorkers, Workers


class LocalWorkers:
    """In threads of this process; their decoders have processes of their own."""

    def __init__(self, hire: Callable[[], Any], threads: Executor) -> None:
        self.hire, self._threads = hire, threads

    def call(self, worker: Any, method: str, argument: Any) -> tuple[Future[Any], Iterator[Any]]:
        call = self._threads.submit(getattr(worker, method), argument)
        return call, (it.result() for it in [call])

    def wait(self, calls: Sequence[Future[Any]], timeout_s: float) -> Sequence[Future[Any]]:
        return list(wait(calls, timeout_s, return_when=FIRST_COMPLETED).done)

    def fault_of(self, error: Exception) -> Fault:
        return "code"  # what may be wrong with a file, the worker tells itself

    def room(self) -> str:
        return "this process has threads for them"


@contextmanager
def video_workers(task: ScoringTask, count: int) -> Iterator[Workers]:
    """What makes `VideoWorker`s; all of them end with the block."""
    if joins_cluster():
        with ray_cluster(num_cpus=count):
            yield RayWorkers(VideoWorker, task)
        return
    with ExitStack() as stack:
        transnet = stack.enter_context(TransNet())

        def hire() -> VideoWorker:
            worker = VideoWorker(task, transnet)
            stack.callback(worker.close)
            return worker

        # Behind the workers on the stack: no decoder is closed below a thread that uses it.
        with ThreadPoolExecutor(count) as threads:
            try:
                yield LocalWorkers(hire, threads)
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                raise
