"""Every entry below the user's folders, each judged once: a file to look at, or why it is none."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from upath import UPath


class SourceFile(NamedTuple):
    """A file as a listing has it."""

    path: str
    """Absolute with links resolved, or a URL."""
    size: int
    version: str
    """Another one where the content may be another: a time in ns, or a store's tag."""

    @property
    def location(self) -> UPath:
        """Where it can be opened."""
        return UPath(self.path)


@dataclass
class Entries:
    """What has been found; each entry stands in one of the two."""

    files: list[SourceFile] = field(default_factory=list)
    """Regular files that can be read, sorted, each once."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Entries by their names, each with the reason: a kind, a colon and the particulars."""


def local_file(path: Path) -> SourceFile:
    """Raises `OSError` where it isn't there."""
    found = path.stat()
    return SourceFile(str(path.resolve()), found.st_size, str(found.st_mtime_ns))


def entries_below(folder: Path) -> Entries:
    """What lies in a folder and in those below it, also behind links."""
    # Strings and few calls of the system for each entry, as a folder may hold 100,000.
    files: dict[str, SourceFile] = {}
    linked: list[tuple[str, SourceFile]] = []
    left_out: dict[str, str] = {}
    for found in _walk(str(folder), os.path.realpath(folder), set()):
        verdict = found.reason or _looked_at(found)
        if isinstance(verdict, str):
            left_out[printable(found.path)] = verdict
        elif found.is_link:
            linked.append((found.path, verdict))
        else:
            files[verdict.path] = verdict
    # A file goes by its own name where that is among the found ones.
    for path, file in linked:
        if files.setdefault(file.path, file) is not file:
            left_out[printable(path)] = f"another name: of {file.path}"
    return Entries(sorted(files.values()), left_out)


def printable(path: str) -> str:
    """A path's text, with bytes that are no UTF-8 written out."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


class _Found(NamedTuple):
    path: str
    real: str
    """With links resolved."""
    is_link: bool
    reason: str | None
    """Why a folder is not searched; None for what is none."""


def _walk(folder: str, real: str, searched: set[str]) -> Iterator[_Found]:
    searched.add(real)
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        yield _Found(folder, real, False, f"unreadable: {error.strerror}")
        return
    for entry in entries:
        is_link = entry.is_symlink()
        inside = os.path.realpath(entry.path) if is_link else f"{real.rstrip('/')}/{entry.name}"
        if not entry.is_dir():
            yield _Found(entry.path, inside, is_link, None)
        elif inside not in searched:
            yield from _walk(entry.path, inside, searched)
        else:
            reason = f"another name: of {inside}, which is searched already"
            yield _Found(entry.path, inside, is_link, reason)


def _looked_at(found: _Found) -> SourceFile | str:
    """The file, or why it is none."""
    try:
        status = os.stat(found.real)  # noqa: PTH116
    except OSError:
        return "broken link: it leads to nothing"
    if not stat.S_ISREG(status.st_mode):
        return "no file: it is a pipe, a socket or a device"
    if not os.access(found.real, os.R_OK):
        return "unreadable: permission denied"
    try:
        found.real.encode()
    except UnicodeEncodeError:
        return "name: it is not UTF-8, which manifests need; rename the file"
    return SourceFile(found.real, status.st_size, str(status.st_mtime_ns))
