"""One row of a shard: the tensors of one clip, and how Parquet holds them.

Tensors are fixed-size binary in C order: Arrow's own tensor type becomes a list with a level for
every element inside Parquet, and reads thirty times slower.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Self

import google_crc32c
import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, PositiveInt

FORMAT: Final = "exvideo.latents/3"

DTYPE = np.dtype("<f2")
"""Raw SVD latents have a standard deviation of about 5.5: far from float16's bounds, and its
mantissa is eight times finer than bfloat16's."""


class CorruptRowError(ValueError):
    """A row does not hold what was written; the message says which."""


class TensorShapes(BaseModel):
    """Shapes of a row's tensors, all of `DTYPE` in C order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    latents: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt]
    """[T, C, h, w]: the posterior mean of every frame, raw (not times the scaling factor)."""
    image_embeds: tuple[PositiveInt]
    """[D]: CLIP's projected embedding of the first frame."""
    cond_latents: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt]
    """[K, C, h, w]: posterior modes of the noised first frame, raw."""


class Statistics(BaseModel):
    """Of the raw latents, over all values of all rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: PositiveInt
    mean: float
    std: float
    absmax: float

    @classmethod
    def merged(cls, parts: Iterable[Self]) -> Self | None:
        """Over several sets of rows of one shape; None where there is none."""
        parts = list(parts)
        if not parts:
            return None
        rows = sum(part.rows for part in parts)
        mean = sum(part.rows * part.mean for part in parts) / rows
        square = sum(part.rows * (part.std**2 + part.mean**2) for part in parts) / rows
        return cls(
            rows=rows,
            mean=mean,
            std=math.sqrt(max(square - mean**2, 0.0)),
            absmax=max(part.absmax for part in parts),
        )


@dataclass(frozen=True)
class LatentRow:
    """What is stored of one clip; shapes as in `TensorShapes`."""

    clip_id: str
    noise_aug_strengths: np.ndarray
    """float32 [K], one for each of `cond_latents`."""
    image_embeds: np.ndarray
    cond_latents: np.ndarray
    latents: np.ndarray

    def crc32c(self) -> int:
        """Checksum of the row's identity and its tensors as they are stored."""
        checksum = google_crc32c.value(self.clip_id.encode())
        arrays = (self.noise_aug_strengths, self.image_embeds, self.cond_latents, self.latents)
        for array in arrays:
            checksum = google_crc32c.extend(checksum, np.ascontiguousarray(array))
        return checksum

    def statistics(self) -> Statistics:
        """Of the latents."""
        values = self.latents.astype(np.float64)
        absmax = np.abs(values).max()
        return Statistics(rows=1, mean=values.mean(), std=values.std(), absmax=absmax)


def arrow_schema(shapes: TensorShapes, described: dict[str, Any]) -> pa.Schema:
    """A shard's columns, small ones first; `described` goes into the file's metadata."""

    def blob(shape: tuple[int, ...]) -> pa.DataType:
        return pa.binary(math.prod(shape) * DTYPE.itemsize)

    columns = [
        ("clip_id", pa.string()),
        ("crc32c", pa.uint32()),
        ("latent_mean", pa.float32()),
        ("latent_std", pa.float32()),
        ("latent_absmax", pa.float32()),
        ("noise_aug_strengths", pa.list_(pa.float32())),
        ("image_embeds", blob(shapes.image_embeds)),
        ("cond_latents", blob(shapes.cond_latents)),
        ("latents", blob(shapes.latents)),
    ]
    metadata = {"format": FORMAT, "dtype": DTYPE.name, "shapes": shapes.model_dump(), **described}
    return pa.schema(
        [pa.field(name, kind, nullable=False) for name, kind in columns],
        metadata={"exvideo": json.dumps(metadata, sort_keys=True)},
    )


def to_table(row: LatentRow, statistics: Statistics, schema: pa.Schema) -> pa.Table:
    """The row, with its own statistics, as a table of one row."""
    columns = {
        "clip_id": row.clip_id,
        "crc32c": row.crc32c(),
        "latent_mean": statistics.mean,
        "latent_std": statistics.std,
        "latent_absmax": statistics.absmax,
        "noise_aug_strengths": row.noise_aug_strengths.tolist(),
        "image_embeds": row.image_embeds.tobytes(),
        "cond_latents": row.cond_latents.tobytes(),
        "latents": row.latents.tobytes(),
    }
    return pa.table({name: [value] for name, value in columns.items()}, schema=schema)
