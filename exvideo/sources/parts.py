"""The parts of a source that can each be ingested alone: an archive, or one of the user's paths."""

import glob
from collections.abc import Sequence
from pathlib import Path

from exvideo.config import EmbeddedSource, LocalSource, OpenSoraPlanSource
from exvideo.errors import InputError
from exvideo.sources.remote import is_url


def source_parts(
    source: EmbeddedSource | LocalSource | OpenSoraPlanSource,
) -> dict[str, LocalSource | OpenSoraPlanSource]:
    """Each part by its name, as a source of its own; embedded videos have none.

    An archive goes by its name without the ending, a path by itself. Captions are no part's: they
    are looked up once all videos are there. Raises `InputError` where a pattern matches nothing.
    """
    match source:
        case LocalSource():
            paths = batches(source.paths)
            return {path: source.model_copy(update={"paths": (path,)}) for path in paths}
        case OpenSoraPlanSource():
            return {
                name.partition(".")[0]: source.model_copy(
                    update={"archives": (name,), "annotations": ()}
                )
                for name in source.archives
            }
        case EmbeddedSource():
            return {}


def batches(paths: Sequence[str]) -> list[str]:
    """`paths` with the folders that match in place of a pattern that ends in a slash.

    Raises `InputError` where none matches.
    """
    found: dict[str, None] = {}  # a set that keeps the order
    for text in paths:
        if is_url(text) or not text.endswith("/") or not glob.has_magic(text):
            found[text] = None
            continue
        # Path.glob refuses absolute patterns.
        folders = sorted(glob.glob(str(Path(text).expanduser()) + "/"))  # noqa: PTH207
        if not folders:
            raise InputError(f"source.paths: no folder matches {text} (seen from {Path.cwd()})")
        found |= dict.fromkeys(folder.rstrip("/") for folder in folders)
    return list(found)
