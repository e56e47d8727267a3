"""Where the rows of a shard lie, so that reading one is one range of bytes, and no copy.

A required column, plain and uncompressed, ends each of its chunks with the value's own bytes: at
one row a row group, a row's tensors are the ends of its columns' chunks.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from exvideo.atomic_file import is_local
from exvideo.latents.schema import DTYPE, CorruptRowError, LatentRow, TensorShapes

TENSORS = ("image_embeds", "cond_latents", "latents", "log_variances")
STRENGTHS = "noise_aug_strengths.list.element"


@dataclass(frozen=True)
class ShardIndex:
    """What a shard's footer tells of its rows."""

    described: dict[str, Any]
    """The file's metadata, as `arrow_schema` took it."""
    clip_ids: tuple[str, ...]
    starts: np.ndarray
    """int64 [rows]: where a row's bytes begin in the file."""
    ends: dict[str, np.ndarray]
    """int64 [rows] for each column of numbers: where its values end, counted from `starts`."""
    pictures: np.ndarray
    """int64 [rows, 2]: where the first frame's column begins and ends, counted from `starts`."""

    def row(self, number: int, content: np.ndarray, shapes: TensorShapes) -> LatentRow:
        """Row `number`, cut out of its bytes `content`, uint8."""

        def column(name: str, kind: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
            end = self.ends[name][number]
            return content[end - math.prod(shape) * kind.itemsize : end].view(kind).reshape(shape)

        wanted = {name: getattr(shapes, name) for name in TENSORS}
        tensors = {name: column(name, DTYPE, shape) for name, shape in wanted.items() if shape}
        strengths = column(STRENGTHS, np.dtype("<f4"), shapes.cond_latents[:1])
        # Aligned, as a few bytes more or less in a page's header leave it or not.
        return LatentRow(
            self.clip_ids[number],
            noise_aug_strengths=strengths.copy(),
            first_frame=_picture(content[slice(*self.pictures[number])].tobytes()),
            **tensors,
        )


def read_index(footer: np.ndarray) -> ShardIndex:
    """The index of a shard from its file's last bytes, uint8, from the last row's end on.

    Raises `CorruptRowError` where they are no footer of a shard.
    """
    try:
        metadata = pq.read_metadata(pa.BufferReader(pa.py_buffer(footer)))
        described = json.loads(metadata.metadata[b"exvideo"])
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise CorruptRowError(f"its footer cannot be read: {error}") from error
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    names = [metadata.schema.column(i).path for i in range(metadata.num_columns)]
    chunks = [[group.column(i) for i in range(len(names))] for group in groups]
    bounds = np.array([row_range(group) for group in groups], np.int64).reshape(-1, 2)
    return ShardIndex(
        described=described,
        clip_ids=tuple(row[names.index("clip_id")].statistics.max for row in chunks),
        starts=bounds[:, 0],
        ends={
            name: np.array([_end(row[names.index(name)]) for row in chunks], np.int64)
            - bounds[:, 0]
            for name in (*TENSORS, STRENGTHS)
            if name in names
        },
        pictures=np.array(
            [_bounds(row[names.index("first_frame")]) for row in chunks], np.int64
        ).reshape(-1, 2)
        - bounds[:, :1],
    )


def row_range(group: pq.RowGroupMetaData) -> tuple[int, int]:
    """The first byte of a row group and the one after its last."""
    return group.column(0).data_page_offset, _end(group.column(group.num_columns - 1))


def _bounds(chunk: pq.ColumnChunkMetaData) -> tuple[int, int]:
    return chunk.data_page_offset, _end(chunk)


def _picture(column: bytes) -> bytes:
    """The WebP file that a column's bytes end with: behind its mark it says how long it is."""
    start = column.find(b"RIFF")
    length = 8 + int.from_bytes(column[start + 4 : start + 8], "little")
    if start < 0 or start + length != len(column):
        raise CorruptRowError("its first frame is no WebP picture")
    return column[start:]


def _end(chunk: pq.ColumnChunkMetaData) -> int:
    return chunk.data_page_offset + chunk.total_compressed_size


def read_range(path: UPath, start: int, end: int) -> np.ndarray:
    """The bytes from `start` up to `end` of a file, uint8, in one request.

    Raises `CorruptRowError` where the file ends before.
    """
    if is_local(path):
        content = np.fromfile(Path(str(path)), np.uint8, count=end - start, offset=start)
    else:
        fetched = path.fs.cat_file(path.path, start=start, end=end)
        content = np.frombuffer(bytearray(fetched), np.uint8)  # torch wants memory to write to
    if len(content) != end - start:
        raise CorruptRowError(f"it ends at byte {start + len(content)}, before byte {end}")
    return content
