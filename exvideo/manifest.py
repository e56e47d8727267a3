"""Manifests: Parquet tables of pydantic rows, named by their content."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel
from upath import UPath

from exvideo.receipt import digest_of, write_atomically

Row = TypeVar("Row", bound=BaseModel)


class Manifest(NamedTuple):
    """A written manifest: its file's name and the digest of its rows."""

    name: str
    digest: str


def write_manifest(folder: UPath, rows: Sequence[BaseModel], schema: pa.Schema) -> Manifest:
    """Write `manifest-<12 hex>.parquet`; equal rows give the same name and the same digest."""
    records = [row.model_dump() for row in rows]
    digest = digest_of(records)
    name = f"manifest-{digest[:12]}.parquet"
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(records, schema=schema), sink)
    write_atomically(folder / name, sink.getvalue().to_pybytes())
    return Manifest(name, digest)


def read_manifest(path: UPath, model: type[Row]) -> list[Row]:
    """The manifest's rows, each validated as a `model`."""
    table = pq.read_table(pa.BufferReader(path.read_bytes()))
    return [model.model_validate(record) for record in table.to_pylist()]
