"""Videos on a store that fsspec opens: a file, a glob, or all below a folder."""

import glob
from collections.abc import Mapping
from typing import Any

from fsspec.core import url_to_fs

from exvideo.errors import InputError
from exvideo.sources.entries import Entries, SourceFile

TAGS = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "last_modified", "mtime")
"""What stores call that which changes with a file's content, the surest first."""


def is_url(text: str) -> bool:
    """Whether it names something on a store."""
    return "://" in text


def remote_files(url: str) -> tuple[Entries, bool]:
    """The files, and whether all below a folder were meant rather than these by name.

    Raises `InputError` where there is nothing, or the store isn't reached.
    """
    try:
        store, path = url_to_fs(url)
        store.invalidate_cache()  # or a process that lives long never sees a new file
        if glob.has_magic(path):
            listed, folder = store.glob(path, detail=True), False
        elif store.isfile(path):
            listed, folder = {path: store.info(path)}, False
        else:
            # One listing: a question for each file would take minutes.
            listed, folder = store.find(path, detail=True), True
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"source.paths: {url} cannot be listed: {error}") from error
    files = [
        _file(store.unstrip_protocol(name), info)
        for name, info in listed.items()
        if info["type"] == "file"
    ]
    if not files:
        raise InputError(f"source.paths: there is no file at {url}")
    return Entries(sorted(files)), folder


def remote_file(url: str) -> SourceFile:
    """Raises `FileNotFoundError` where there is none, `InputError` where the store fails."""
    try:
        store, path = url_to_fs(url)
        return _file(store.unstrip_protocol(path), store.info(path))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"source.paths: {url} cannot be looked at: {error}") from error


def _file(url: str, info: Mapping[str, Any]) -> SourceFile:
    tag = next((str(info[name]) for name in TAGS if info.get(name)), "")
    return SourceFile(url, int(info.get("size") or 0), tag.strip('"'))
