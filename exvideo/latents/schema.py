"""One row of a shard: the tensors of one clip, and how Parquet holds them.

Tensors are fixed-size binary in C order: Arrow's own tensor type becomes a list with a level for
every element inside Parquet, and reads thirty times slower.
"""

import io
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Self

import google_crc32c
import numpy as np
import pyarrow as pa
from PIL import Image
from pydantic import BaseModel, ConfigDict, PositiveInt

from exvideo.clips.manifest import Clip

FORMAT: Final = "exvideo.latents/4"

DTYPE = np.dtype("<f2")
"""Raw SVD latents have a standard deviation of about 5.5: far from float16's bounds, and its
mantissa is eight times finer than bfloat16's."""


UNKNOWN = {"start_frame", "fps", "motion_score", "motion_bucket_id"}
"""Columns that may be null."""


class CorruptRowError(ValueError):
    """A row does not hold what was written; the message says which."""


class NotFiniteError(ValueError):
    """A tensor came out with values that are not finite, or that float16 cannot hold."""


class TensorShapes(BaseModel):
    """Shapes of a row's tensors, all of `DTYPE` in C order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    latents: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt]
    """[T, C, h, w]: the posterior mean of every frame, raw (not times the scaling factor)."""
    image_embeds: tuple[PositiveInt]
    """[D]: CLIP's projected embedding of the first frame."""
    cond_latents: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt]
    """[K, C, h, w]: posterior modes of the noised first frame, raw."""
    log_variances: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] | None = None
    """[T, C, h, w]: of the posteriors whose means are `latents`; None where they are not kept."""


class Statistics(BaseModel):
    """Of the raw latents, over all values of all rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: PositiveInt
    values: PositiveInt
    mean: float
    std: float
    absmax: float

    @classmethod
    def merged(cls, parts: Iterable[Self]) -> Self | None:
        """Over several sets of rows, of whatever shapes; None where there is none."""
        parts = list(parts)
        if not parts:
            return None
        values = sum(part.values for part in parts)
        mean = sum(part.values * part.mean for part in parts) / values
        square = sum(part.values * (part.std**2 + part.mean**2) for part in parts) / values
        return cls(
            rows=sum(part.rows for part in parts),
            values=values,
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
    first_frame: bytes
    """The clip's first frame as a lossless picture (`lossless`)."""
    image_embeds: np.ndarray
    cond_latents: np.ndarray
    latents: np.ndarray
    log_variances: np.ndarray | None = None

    def crc32c(self) -> int:
        """Checksum of the row's identity, its picture and its tensors as they are stored."""
        checksum = google_crc32c.value(self.clip_id.encode())
        checksum = google_crc32c.extend(checksum, self.first_frame)
        arrays = [self.noise_aug_strengths, self.image_embeds, self.cond_latents, self.latents]
        if self.log_variances is not None:
            arrays.append(self.log_variances)
        for array in arrays:
            checksum = google_crc32c.extend(checksum, np.ascontiguousarray(array))
        return checksum

    def statistics(self) -> Statistics:
        """Of the latents."""
        values = self.latents.astype(np.float64)
        absmax = np.abs(values).max()
        return Statistics(
            rows=1, values=values.size, mean=values.mean(), std=values.std(), absmax=absmax
        )


def lossless(frame: np.ndarray) -> bytes:
    """A frame, uint8 [H,W,3], as WebP without loss: equal frames, equal bytes."""
    picture = io.BytesIO()
    # More effort takes five times as long and 5 % off a picture that is 8 % of its row.
    Image.fromarray(frame).save(picture, "WEBP", lossless=True, quality=0, method=0)
    return picture.getvalue()


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
        ("caption", pa.string()),
        ("licence", pa.string()),
        ("source", pa.string()),
        ("source_sha256", pa.list_(pa.string())),
        ("start_frame", pa.int32()),
        ("stride", pa.int32()),
        ("fps", pa.float32()),
        ("motion_score", pa.float32()),
        ("motion_bucket_id", pa.int32()),
        ("noise_aug_strengths", pa.list_(pa.float32())),
        ("first_frame", pa.binary()),
        ("image_embeds", blob(shapes.image_embeds)),
        ("cond_latents", blob(shapes.cond_latents)),
        ("latents", blob(shapes.latents)),
    ]
    if shapes.log_variances:
        columns.append(("log_variances", blob(shapes.log_variances)))
    metadata = {"format": FORMAT, "dtype": DTYPE.name, "shapes": shapes.model_dump(), **described}
    return pa.schema(
        [pa.field(name, kind, nullable=name in UNKNOWN) for name, kind in columns],
        metadata={"exvideo": json.dumps(metadata, sort_keys=True)},
    )


def to_table(row: LatentRow, clip: Clip, statistics: Statistics, schema: pa.Schema) -> pa.Table:
    """The row, what is known of its clip and its own statistics, as a table of one row."""
    columns = {
        "clip_id": row.clip_id,
        "crc32c": row.crc32c(),
        "latent_mean": statistics.mean,
        "latent_std": statistics.std,
        "latent_absmax": statistics.absmax,
        "caption": clip.caption,
        "licence": clip.licence,
        "source": clip.source,
        "source_sha256": [piece.sha256 for piece in clip.pieces],
        "start_frame": clip.pieces[0].start_frame if clip.pieces else None,
        "stride": clip.stride,
        "fps": clip.fps,
        "motion_score": clip.motion_score,
        "motion_bucket_id": clip.motion_bucket_id,
        "noise_aug_strengths": row.noise_aug_strengths.tolist(),
        "first_frame": row.first_frame,
        "image_embeds": row.image_embeds.tobytes(),
        "cond_latents": row.cond_latents.tobytes(),
        "latents": row.latents.tobytes(),
    }
    if row.log_variances is not None:
        columns["log_variances"] = row.log_variances.tobytes()
    return pa.table({name: [value] for name, value in columns.items()}, schema=schema)
