"""A list of videos: CSV or Parquet, with what somebody knows of each."""

import csv
import io
import posixpath
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from exvideo.errors import InputError
from exvideo.sources.captions import Told, one_line
from exvideo.sources.remote import is_url

ENDINGS = (".csv", ".parquet")
COLUMNS = ("path", *Told._fields, "source")


class ListedVideo(NamedTuple):
    """A row of a list."""

    path: str
    """Absolute, or a URL."""
    told: Told
    source: str
    """Empty where the list has no such column."""


def is_list(path: str) -> bool:
    """Whether it is one by its ending."""
    return path.lower().endswith(ENDINGS)


def read_list(file: UPath) -> list[ListedVideo]:
    """The rows; the columns are `path` and, where they are known, `caption`, `licence`, `source`.

    A path is seen from the list's folder. Other columns are ignored. Raises `InputError` for a list
    without paths, or one that can't be read.
    """
    try:
        rows = _rows(file)
    except (csv.Error, pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"source.paths: the list {file} can't be read: {error}") from error
    videos = []
    for number, row in enumerate(rows, start=1):
        path, *told, source = (str(row.get(name) or "") for name in COLUMNS)
        if not path:
            raise InputError(f"source.paths: row {number} of the list {file} has no path")
        place = path if is_url(path) else posixpath.join(str(file.parent), path)
        videos.append(ListedVideo(place, Told(*map(one_line, told)), source))
    if not videos:
        raise InputError(f"source.paths: the list {file} has no rows")
    return videos


def _rows(file: UPath) -> list[dict[str, Any]]:
    if file.suffix.lower() == ".csv":
        # As text all of it: the name 0017 is no number.
        return list(csv.DictReader(io.StringIO(file.read_bytes().decode("utf-8-sig"), newline="")))
    table = pq.read_table(pa.BufferReader(file.read_bytes()))
    return table.select([name for name in COLUMNS if name in table.column_names]).to_pylist()
