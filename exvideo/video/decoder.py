"""A process of its own for decoding, so that a broken file costs only itself."""

import multiprocessing
import os
import re
import resource
import signal
import tempfile
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from upath import UPath

from exvideo.atomic_file import is_local
from exvideo.video.local_copy import local_copy

Item = TypeVar("Item")

START_S = 120.0
"""What a fresh process may take to import its libraries on a busy machine."""

MEMORY_BYTES = 8 << 30
"""A damaged header may ask for any amount: beyond this, the process aborts instead of swapping."""

KILLED = "the decoder's process ended by SIGKILL"
"""Which nobody but the system or a person sends: memory, most often."""


class DecodeError(Exception):
    """A file cannot be decoded."""

    def __init__(self, path: Path | UPath, reason: str, permanent: bool = True) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason
        self.permanent = permanent
        """False where the machine may be at fault, so that another try may go well."""


@dataclass(frozen=True)
class _Child:
    process: SpawnProcess
    connection: Connection


class Decoder:
    """Runs generators over video files in a child process, which is replaced when it dies.

    A context manager, for one thread at a time.
    """

    def __init__(self, timeout_s: float) -> None:
        """`timeout_s` is what a file may take to give its next item."""
        self._timeout_s = timeout_s
        self._child: _Child | None = None
        self._stderr = tempfile.NamedTemporaryFile(prefix="decoder-")  # noqa: SIM115
        self._fetched = ExitStack()
        self._fetched_from: UPath | None = None
        self._copy = Path()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        self._stop()
        self._fetched.close()
        self._stderr.close()

    def stream(
        self, function: Callable[..., Iterator[Item]], path: Path | UPath, *arguments: Any
    ) -> Generator[Item, None, None]:
        """The items of `function(path, *arguments)`; the function must stand in a module.

        A file that is not local is fetched first, and kept until another one is asked for. Raises
        `DecodeError` where the file is gone, its decoding fails, takes too long or aborts its
        process.
        """
        try:
            file = self._local(UPath(path))
        except FileNotFoundError:
            raise DecodeError(path, "the file is gone", permanent=False) from None
        yield from self._stream(function, file, arguments)

    def _local(self, path: UPath) -> Path:
        """The file, or a copy: many windows of a long video are read one after the other."""
        if path != self._fetched_from:
            self._fetched.close()
            self._fetched_from = None
            self._copy = self._fetched.enter_context(local_copy(path))
            if not is_local(path):
                self._fetched_from = path
        return self._copy

    def _stream(
        self, function: Callable[..., Iterator[Item]], path: Path, arguments: tuple[Any, ...]
    ) -> Generator[Item, None, None]:
        if self._child is not None and self._child.connection.poll():
            self._stop()  # it has nothing to say between two files but that it has ended
        child = self._child or self._start(path)
        os.truncate(self._stderr.name, 0)
        answered = False
        try:
            child.connection.send((function, path, arguments))
            while True:
                kind, value = self._receive(child, path)
                if kind != "item":
                    break
                yield value
            answered = True
        finally:
            if not answered:
                self._stop()
        if kind == "bug":
            raise RuntimeError(f"decoding {path} failed in our own code:\n{value}")
        said = self._said()
        if kind == "error":
            raise DecodeError(path, f"{_plain(value)} ({said[-1]})" if said else _plain(value))

    def _start(self, path: Path) -> _Child:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._stderr.name), daemon=True)
        process.start()
        # Only the child holds its end now, so its death reads as the end of the file.
        theirs.close()
        self._child = _Child(process, ours)
        try:
            if ours.poll(START_S) and ours.recv() == "ready":
                return self._child
        except (EOFError, ConnectionResetError):
            process.join()
        said, killed = "\n".join(self._said()), process.exitcode == -signal.SIGKILL
        self._stop()
        if killed:
            raise DecodeError(path, KILLED, permanent=False)
        raise RuntimeError(f"the decoding process does not start:\n{said}")

    def _stop(self) -> None:
        if self._child is not None:
            self._child.process.kill()
            self._child.process.join()
            self._child.connection.close()
            self._child = None

    def _receive(self, child: _Child, path: Path) -> tuple[str, Any]:
        if not child.connection.poll(self._timeout_s):
            reason = f"no frame within {self._timeout_s:g} s"
            raise DecodeError(path, reason, permanent=False)
        try:
            kind, value = child.connection.recv()
            return (
                ("item", _read_array(child.connection, value)) if kind == "array" else (kind, value)
            )
        except (EOFError, ConnectionResetError):
            child.process.join()
            code = child.process.exitcode or 0
            if code == -signal.SIGKILL:
                raise DecodeError(path, KILLED, permanent=False) from None
            ending = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            said = self._said()
            reason = f"the decoder's process ended by {ending}" + (f" ({said[-1]})" if said else "")
            raise DecodeError(path, reason) from None

    def _said(self) -> list[str]:
        text = Path(self._stderr.name).read_text(errors="replace")
        return [_plain(line) for line in text.splitlines() if line.strip()]


def _write_array(connection: Connection, array: NDArray[Any]) -> None:
    """As it lies in memory: pickling a frame takes as long as decoding it."""
    connection.send(("array", (array.shape, array.dtype.str)))
    content = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    while content:
        content = content[os.write(connection.fileno(), content) :]


def _read_array(connection: Connection, said: tuple[tuple[int, ...], str]) -> NDArray[Any]:
    array = np.empty(*said)
    left = array.reshape(-1).view(np.uint8).data
    while left:
        read = os.readv(connection.fileno(), [left])
        if not read:
            raise EOFError
        left = left[read:]
    return array


def _plain(message: str) -> str:
    """A message's first line without clocks, source files and addresses: what always is equal."""
    line = message.strip().partition("\n")[0]
    return re.sub(r" @ 0x[0-9a-f]+", "", re.sub(r"^(\[[\d:]+\] \S+ )+", "", line))


def _serve(connection: Connection, stderr: str) -> None:
    """The child's life: one request after the other until the parent is gone."""
    # FFmpeg complains on the process's own stderr; appending lets the parent empty the file.
    os.dup2(os.open(stderr, os.O_WRONLY | os.O_APPEND), 2)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the parent's to handle

    # In this order each has an FFmpeg of its own: decord's would take the place of PyAV's.
    import av
    import decord

    decord.logging.set_level(decord.logging.ERROR)
    connection.send("ready")
    while True:
        try:
            function, path, arguments = connection.recv()
        except EOFError:
            return
        try:
            for item in function(path, *arguments):
                if isinstance(item, np.ndarray):
                    _write_array(connection, item)
                else:
                    connection.send(("item", item))
            answer: tuple[str, Any] = ("end", None)
        except av.FFmpegError as error:
            # Its text would name the file, which may be a temporary copy.
            answer = ("error", error.strerror or type(error).__name__)
        except (decord.DECORDError, RuntimeError, EOFError, OSError, MemoryError) as error:
            # What is wrong with a file: decord raises most of these.
            answer = ("error", str(error))
        except Exception:
            answer = ("bug", traceback.format_exc())
        connection.send(answer)
