"""Local files that take their place whole, and stay there when the power goes."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from upath import UPath

PART = f".{'[0-9a-f]' * 32}.part"


def is_local(path: UPath) -> bool:
    """Whether it lies in a file system and not in an object store."""
    return path.protocol in ("", "file", "local")


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A path to write to, which replaces `path` when the block ends well and is gone otherwise."""
    # In the same folder, so that taking its place is one rename; under a name of its own, so
    # that two who write the same file do not disturb each other.
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield part
        # Without these, a power cut may leave the new name with nothing in it.
        _sync(part)
        part.replace(path)
        _sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def remove_parts(folder: Path, of: str = "*") -> None:
    """Delete what killed writers have left below a folder, of files that nobody else writes.

    `of` is a pattern of their names.
    """
    for part in folder.rglob(of + PART):
        part.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
