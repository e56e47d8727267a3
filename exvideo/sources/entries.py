"""Every entry below the user's folders, each judged once: a file to look at, or why it is none."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Entries:
    """What has been found; each entry stands in one of the two."""

    files: list[Path] = field(default_factory=list)
    """Regular files that can be read, absolute, links resolved, sorted, each once."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Entries by their names, each with the reason: a kind, a colon and the particulars."""


def entries_below(folder: Path) -> Entries:
    """What lies in a folder and in those below it, also behind links."""
    found: list[Path] = []
    left_out: dict[str, str] = {}
    for entry, not_searched in _walk(folder, set()):
        reason = not_searched or _reason_against(entry)
        if reason:
            left_out[printable(entry)] = reason
        else:
            found.append(entry)
    files: dict[Path, Path] = {}
    # A file goes by its own name where that is among the found ones.
    for entry in sorted(found, key=lambda entry: (entry.is_symlink(), entry)):
        file = entry.resolve()
        if files.setdefault(file, entry) != entry:
            left_out[printable(entry)] = f"another name: of {file}"
    return Entries(sorted(files), left_out)


def printable(path: Path) -> str:
    """A path's text, with bytes that are no UTF-8 written out."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _walk(folder: Path, searched: set[Path]) -> Iterator[tuple[Path, str | None]]:
    """Entries that are no folders, and folders that are not searched with the reason."""
    searched.add(folder.resolve())
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        yield folder, f"unreadable: {error.strerror}"
        return
    for entry in entries:
        if not entry.is_dir():
            yield entry, None
        elif entry.resolve() not in searched:
            yield from _walk(entry, searched)
        else:
            yield entry, f"another name: of {entry.resolve()}, which is searched already"


def _reason_against(entry: Path) -> str | None:
    if not entry.exists():
        return "broken link: it leads to nothing"
    if not entry.is_file():
        return "no file: it is a pipe, a socket or a device"
    if not os.access(entry, os.R_OK):
        return "unreadable: permission denied"
    try:
        str(entry.resolve()).encode()
    except UnicodeEncodeError:
        return "name: it is not UTF-8, which manifests need; rename the file"
    return None
