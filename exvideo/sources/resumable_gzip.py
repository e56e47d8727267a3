"""Decompress one long gzip stream so that another process can go on in the middle."""

import io
from collections.abc import Callable
from dataclasses import dataclass

from zlib_state import Decompressor

from exvideo.errors import InputError

AUTO_HEADER, RAW = 32 + 15, -15
"""zlib's window bits: expect gzip's header, or none in the middle of a stream."""


@dataclass(frozen=True)
class GzipState:
    """What is needed to go on: deflate's blocks only know the last 32 KiB before them."""

    position: int
    """In the compressed stream."""
    output_position: int
    window: bytes
    bits: int
    """How many bits of the byte before `position` belong to the next block."""
    byte: int


class ResumableGzip(io.RawIOBase):
    """The decompressed stream, readable and seekable forward; `read` decompresses no byte ahead.

    `source(position, count)` gives compressed bytes, nothing at the end.
    """

    def __init__(self, source: Callable[[int, int], bytes], state: GzipState | None = None) -> None:
        self._source = source
        self._fed = state.position if state else 0
        self._start = self._fed
        self._output = state.output_position if state else 0
        self._decompressor = Decompressor(RAW if state else AUTO_HEADER)
        if state:
            self._decompressor.set_state(state.window, state.bits, state.byte)
        self.state = state
        """At the last boundary between two blocks that has been passed."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._output

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset < self._output:
            raise io.UnsupportedOperation("this stream only goes forward")
        while self._output < offset and self.read(min(offset - self._output, 1 << 20)):
            pass
        return self._output

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        filled = 0
        while filled < len(view) and not self._decompressor.eof():
            needed = self._decompressor.needs_input()
            if needed:
                compressed = self._source(self._fed, needed)
                if not compressed:
                    raise InputError(f"the archive ends early, after {self._fed} bytes")
                self._decompressor.feed_input(compressed)
                self._fed += len(compressed)
            count = self._decompressor.read(outbytes=view[filled:])
            filled += count
            self._output += count
            if self._decompressor.block_boundary():
                position = self._start + self._decompressor.total_in()
                self.state = GzipState(position, self._output, *self._decompressor.get_state())
        return filled
