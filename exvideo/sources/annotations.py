"""OpenSoraPlan's annotation files: captions of pieces, hundreds of megabytes of JSON."""

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from exvideo.errors import InputError
from exvideo.sources.captions import one_line

CHUNK = 1 << 20
"""Characters that are read at a time."""

BETWEEN = re.compile(r"[\s,]*")


def captions(file: Path) -> Iterator[tuple[str, str]]:
    """Each annotated piece's key and its caption, which may be empty.

    The file is one array of `{"path": ..., "cap": [...]}`, read piece by piece. Raises `InputError`
    where it is something else.
    """
    with file.open(encoding="utf-8") as stream:
        for number, entry in enumerate(_entries(stream, file.name)):
            try:
                said = entry["cap"]
                caption = said if isinstance(said, str) else next(iter(said), "")
                yield key_of(entry["path"]), one_line(caption)
            except (KeyError, TypeError, AttributeError) as error:
                raise InputError(
                    f"{file.name}: entry {number} is no path with captions: {str(entry)[:80]}"
                ) from error


def key_of(path: str) -> str:
    """What a piece is joined by: source, category and name, as some have `_` for a space."""
    return "/".join(PurePosixPath(path).parts[-3:]).replace(" ", "_")


def _entries(stream: TextIO, name: str) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    text = stream.read(CHUNK)
    if not text.lstrip().startswith("["):
        raise InputError(f"{name} is no JSON array of annotations")
    at = text.index("[") + 1
    while True:
        between = BETWEEN.match(text, at)
        at = between.end() if between else at
        if text.startswith("]", at):
            return
        try:
            entry, at = decoder.raw_decode(text, at)
        except ValueError as error:
            more = stream.read(CHUNK)
            if not more:
                raise InputError(f"{name} ends early, or holds no JSON: {error}") from error
            text, at = text[at:] + more, 0
            continue
        yield entry
