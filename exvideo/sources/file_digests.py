"""SHA-256 of files, computed once for each unchanged file."""

import hashlib
import json
from pathlib import Path

from upath import UPath

from exvideo.receipt import write_atomically


def sha256_of(path: Path | UPath) -> str:
    """The file's SHA-256, as hex."""
    with path.open("rb") as file:
        # fsspec's files have `readinto`, too, though their type doesn't say so.
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


class FileDigests:
    """Remembers digests by path, size and modification time, or another mark of a version."""

    def __init__(self, store: UPath) -> None:
        self._store = store
        self._known = self._stored()
        self._saved = len(self._known)

    def sha256(self, path: Path) -> str:
        stat = path.stat()
        return self.sha256_at(path, stat.st_size, str(stat.st_mtime_ns))

    def sha256_at(self, path: Path | UPath, size: int, version: str) -> str:
        """Of a file that has been looked at already."""
        key = f"{path}|{size}|{version}"
        if key not in self._known:
            self._known[key] = sha256_of(path)
        return self._known[key]

    def save(self) -> None:
        if len(self._known) == self._saved:
            return
        self._saved = len(self._known)
        # Runs beside this one have saved theirs since. What is lost of two that save in the same
        # moment is computed again.
        write_atomically(self._store, json.dumps({**self._stored(), **self._known}).encode())

    def _stored(self) -> dict[str, str]:
        return json.loads(self._store.read_bytes()) if self._store.exists() else {}
