"""Parquet shards that appear whole or not at all, in a folder or in an object store.

A shard is finished when its sidecar stands beside it, and the sidecar is written last.
"""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

import google_crc32c
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError
from upath import UPath

from exvideo.atomic_file import atomic_file, is_local, remove_parts
from exvideo.clips.manifest import Clip
from exvideo.latents.manifest import PARQUET_MAGIC, Encoding, Shard, Sidecar
from exvideo.latents.schema import LatentRow, Statistics, to_table
from exvideo.latents.shard_index import row_range
from exvideo.receipt import write_atomically

_log = logging.getLogger(__name__)

SCALARS = ["clip_id", "crc32c", "latent_mean", "latent_std", "latent_absmax"]


class ShardWriter:
    """Writes a shard row by row; `shard` describes the file once `open_shard`'s block has ended."""

    shard: Shard

    def __init__(self, part: Path, file: str, schema: pa.Schema) -> None:
        self._part = part
        self._file = file
        self._schema = schema
        self._clip_ids: list[str] = []
        self._statistics: list[Statistics] = []
        self._parquet = pq.ParquetWriter(
            part,
            schema,
            # Compression takes 8 % off latents and makes a random read eight times slower.
            compression="none",
            use_dictionary=False,
            write_statistics=SCALARS,
            write_page_checksum=True,
        )

    def write(self, row: LatentRow, clip: Clip) -> None:
        # A row group a row, so that reading a clip touches nothing of the others.
        statistics = row.statistics()
        table = to_table(row, clip, statistics, self._schema)
        self._parquet.write_table(table, row_group_size=1)
        self._clip_ids.append(row.clip_id)
        self._statistics.append(statistics)

    @property
    def statistics(self) -> Statistics | None:
        """Over the rows written, None where there is none."""
        return Statistics.merged(self._statistics)

    def close(self) -> None:
        self._parquet.close()

    def describe(self) -> None:
        metadata = pq.read_metadata(self._part)
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        ends = [row_range(group)[1] for group in groups]
        with self._part.open("rb") as written:
            digest = hashlib.sha256(written.read(len(PARQUET_MAGIC)))
            checksums = []
            for end in ends:
                row = written.read(end - written.tell())
                digest.update(row)
                checksums.append(google_crc32c.value(row))
            footer = written.read()
            digest.update(footer)
        self.shard = Shard(
            file=self._file,
            rows=len(self._clip_ids),
            bytes=self._part.stat().st_size,
            sha256=digest.hexdigest(),
            clip_ids=tuple(self._clip_ids),
            row_ends=tuple(ends),
            row_crc32c=tuple(checksums),
            footer_crc32c=google_crc32c.value(footer),
        )


@contextmanager
def open_shard(folder: UPath, name: str, schema: pa.Schema) -> Iterator[ShardWriter]:
    """Write `<name>.parquet`, which takes its place when the block ends well.

    What is left of this shard by whoever was killed over it is removed.
    """
    path = folder / f"{name}.parquet"
    with _published(path) as part:
        writer = ShardWriter(part, path.name, schema)
        try:
            yield writer
        finally:
            writer.close()
        writer.describe()


def write_sidecar(folder: UPath, sidecar: Sidecar) -> None:
    """Declare the shard finished."""
    path = _sidecar_path(folder, sidecar.shard.file)
    write_atomically(path, sidecar.model_dump_json(indent=1).encode())


def finished_shards(folder: UPath, encoding: Encoding) -> list[Sidecar]:
    """Sidecars of the folder's finished shards of this encoding, by file name."""
    files = folder.fs
    files.invalidate_cache()
    entries = files.ls(folder.path, detail=True) if folder.exists() else []
    sizes = {PurePath(entry["name"]).name: entry["size"] for entry in entries}
    wanted = [entry["name"] for entry in entries if _is_sidecar(PurePath(entry["name"]).name)]
    contents = files.cat(sorted(wanted)) if wanted else {}  # at once: object stores answer slowly
    sidecars = [_sidecar(name, content) for name, content in contents.items()]
    return [
        it
        for it in sorted(filter(None, sidecars), key=lambda it: it.shard.file)
        if it.encoding == encoding and sizes.get(it.shard.file) == it.shard.bytes
    ]


def finished_shard(folder: UPath, name: str) -> Sidecar | None:
    """The sidecar of shard `name`, or None where it is not finished."""
    path = folder / f"{name}.parquet"
    beside = _sidecar_path(folder, path.name)
    if not (beside.exists() and path.exists()):
        return None
    sidecar = _sidecar(str(beside), beside.read_bytes())
    return sidecar if sidecar and path.stat().st_size == sidecar.shard.bytes else None


def _sidecar(name: str, content: bytes) -> Sidecar | None:
    try:
        return Sidecar.model_validate_json(content)
    except ValidationError as error:
        # Empty or cut off, as a disk that was full or a power cut leaves it.
        _log.warning("%s is no sidecar, so its shard is written again: %s", name, error)
        return None


def _sidecar_path(folder: UPath, file: str) -> UPath:
    return (folder / file).with_suffix(".json")


def _is_sidecar(name: str) -> bool:
    return name.startswith("shard-") and name.endswith(".json")


@contextmanager
def _published(path: UPath) -> Iterator[Path]:
    """A local file to write, which takes its place at `path` whole when the block ends well."""
    if not is_local(path):
        with TemporaryDirectory(prefix="shard-") as folder:
            part = Path(folder) / path.name
            yield part
            path.fs.put_file(str(part), path.path)  # object stores publish all or nothing
        return
    local = Path(str(path))
    # A shard is one worker's at a time. One that is only taken for dead can't publish any more,
    # which costs nothing.
    remove_parts(local.parent, f"{local.stem}.*")
    with atomic_file(local) as part:
        yield part
