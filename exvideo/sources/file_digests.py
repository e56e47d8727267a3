"""SHA-256 of files, computed once for each unchanged file."""

import hashlib
import json
from pathlib import Path

from upath import UPath

from exvideo.receipt import write_atomically


def sha256_of(path: Path) -> str:
    """The file's SHA-256, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class FileDigests:
    """Remembers digests by path, size and modification time."""

    def __init__(self, store: UPath) -> None:
        self._store = store
        self._known: dict[str, str] = json.loads(store.read_bytes()) if store.exists() else {}
        self._saved = len(self._known)

    def sha256(self, path: Path) -> str:
        stat = path.stat()
        key = f"{path}|{stat.st_size}|{stat.st_mtime_ns}"
        if key not in self._known:
            self._known[key] = sha256_of(path)
        return self._known[key]

    def save(self) -> None:
        if len(self._known) == self._saved:
            return
        self._saved = len(self._known)
        write_atomically(self._store, json.dumps(self._known).encode())
