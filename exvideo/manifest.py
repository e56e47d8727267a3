"""Manifests: Parquet tables of pydantic rows, named by their content."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel
from upath import UPath

from exvideo.receipt import digest_of_all, write_atomically

Row = TypeVar("Row", bound=BaseModel)


ROWS_AT_A_TIME = 4096
"""Of which Python objects are made to write them; a manifest of OpenSoraPlan has 434,000."""


class Manifest(NamedTuple):
    """A written manifest: its file's name and the digest of its rows."""

    name: str
    digest: str


def write_manifest(folder: UPath, rows: Sequence[BaseModel], schema: pa.Schema) -> Manifest:
    """Write `manifest-<12 hex>.parquet`; equal rows give the same name and the same digest."""
    digest = digest_of_all(row.model_dump() for row in rows)
    name = f"manifest-{digest[:12]}.parquet"
    starts = range(0, len(rows), ROWS_AT_A_TIME)
    batches = [_batch(rows[start : start + ROWS_AT_A_TIME], schema) for start in starts]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_batches(batches, schema), sink)
    write_atomically(folder / name, sink.getvalue().to_pybytes())
    return Manifest(name, digest)


def _batch(rows: Sequence[BaseModel], schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([row.model_dump() for row in rows], schema)


def read_manifest(path: UPath, model: type[Row]) -> list[Row]:
    """The manifest's rows, each validated as a `model`."""
    table = pq.read_table(pa.BufferReader(path.read_bytes()))
    batches = table.to_batches(ROWS_AT_A_TIME)
    return [model.model_validate(record) for batch in batches for record in batch.to_pylist()]
