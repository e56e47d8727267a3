"""What a person watches while a long command works: a line at least every few seconds."""

import os
import shutil
import threading
import time
from types import TracebackType
from typing import Self

SILENCE_S = 4.0
"""After so long without a line, one says what is being done and for how long."""

_ERASE = "\r\x1b[K"


class Screen:
    """Lines on a file descriptor. On a terminal a passing line makes room for the next one.

    Where it cannot be written to any more, such as a closed terminal, that is no error: the work
    goes on, or ends in order, unseen.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._terminal = os.isatty(file)
        self._lock = threading.Lock()
        self._doing = ""
        self._since = self._last = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._break_silence, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self._terminal:
            self._write(_ERASE)

    def doing(self, what: str) -> None:
        """From now on, this is what breaks a silence."""
        self._doing, self._since = what, time.monotonic()

    def say(self, text: str) -> None:
        """Lines that stay."""
        self._write(f"{_ERASE if self._terminal else ''}{text}\n")

    def pass_by(self, line: str) -> None:
        """A line that the next one may overwrite."""
        if self._terminal:
            width = shutil.get_terminal_size().columns
            self._write(_ERASE + line[: width - 1])
        else:
            self.say(line)

    def _write(self, text: str) -> None:
        with self._lock:
            self._last = time.monotonic()
            try:
                # Past Python's buffers: what stays in one makes the process fail at its end.
                os.write(self._file, text.encode(errors="replace"))
            except OSError:
                self._ended.set()  # nobody is there to see more

    def _break_silence(self) -> None:
        while not self._ended.wait(0.5):
            now = time.monotonic()
            if self._doing and now - self._last >= SILENCE_S:
                self.pass_by(f"{self._doing}: {now - self._since:.0f} s")
