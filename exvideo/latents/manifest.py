"""What a folder of latent shards holds: sidecars, one a shard, and the manifest over them all."""

import hashlib
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, PositiveInt
from upath import UPath

from exvideo.clips.manifest import Clip
from exvideo.errors import InputError
from exvideo.latents.schema import FORMAT, Statistics, TensorShapes
from exvideo.precision import Computed
from exvideo.receipt import write_atomically

Split = Literal["train", "held_out"]

PARQUET_MAGIC = b"PAR1"
"""What every Parquet file begins with."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Encoding(_Document):
    """What a row depends on besides its clip."""

    base_id: str
    """Identity of the VAE and the image encoder that made the latents."""
    preprocessing: str
    """Identity of what frames pass through before them."""
    dtype: Computed
    frames_per_batch: PositiveInt
    """Recorded because kernels for other batch sizes may round differently."""
    noise_augmentations: PositiveInt


class Missing(_Document):
    """A clip that has no latents."""

    clip_id: str
    reason: str
    permanent: bool
    """False where the machine may have been at fault: the next run tries again."""


class Shard(_Document):
    """A Parquet file of latent rows."""

    file: str
    """Relative to the manifest's folder."""
    rows: int
    bytes: int
    sha256: str
    clip_ids: tuple[str, ...]
    """In the order of the rows."""
    row_ends: tuple[int, ...]
    """The byte after each row's last; the footer begins after the last row's."""
    row_crc32c: tuple[int, ...]
    """Of each row's bytes, its pages' headers included."""
    footer_crc32c: int
    """Of the bytes after the last row."""

    def row_range(self, row: int) -> tuple[int, int]:
        """A row's first byte and the one after its last."""
        return (self.row_ends[row - 1] if row else len(PARQUET_MAGIC)), self.row_ends[row]

    def footer_range(self) -> tuple[int, int]:
        """The first byte after the rows, and the file's length."""
        return (self.row_ends[-1] if self.row_ends else len(PARQUET_MAGIC)), self.bytes


class Sidecar(_Document):
    """Written after its shard: a shard that has one is complete."""

    format: Literal["exvideo.latents/3"] = FORMAT
    encoding: Encoding
    shapes: TensorShapes
    scaling_factor: float
    """The VAE's: what the U-Net sees are the stored latents times this."""
    encoded_with: dict[str, str]
    """Versions and the device; other ones may round differently."""
    shard: Shard
    missing: tuple[Missing, ...]
    statistics: Statistics | None

    def accounted_for(self) -> set[str]:
        """Ids of the clips that need no further try."""
        return {*self.shard.clip_ids, *(it.clip_id for it in self.missing if it.permanent)}


class LatentClip(_Document):
    """How training is told of a clip, apart from its tensors."""

    clip_id: str
    split: Split
    fps: float
    motion_bucket_id: int

    @classmethod
    def of(cls, clip: Clip) -> Self:
        """What training needs to know of a kept clip."""
        return cls.model_validate(clip.model_dump(include=set(cls.model_fields)))


class LatentManifest(_Document):
    """All latents of one clips manifest.

    What can change while the pixels stay (split, frame rate, motion bucket) stands here and not
    in the shards, so that no change of it encodes anything again.
    """

    format: Literal["exvideo.latents/3"] = FORMAT
    clips_manifest: str
    """Digest of the clips manifest."""
    encoding: Encoding
    shapes: TensorShapes
    scaling_factor: float
    statistics: Statistics
    """Of the shards below, rows that are no longer wanted included."""
    clips: tuple[LatentClip, ...]
    """By clip_id."""
    missing: tuple[Missing, ...]
    shards: tuple[Shard, ...]


def manifest_of(
    clips: Sequence[LatentClip], sidecars: Sequence[Sidecar], clips_manifest: str
) -> LatentManifest:
    """The manifest of `clips`, each of which is a row or missing in one of `sidecars`."""
    wanted = {clip.clip_id for clip in clips}
    used = [
        it
        for it in sorted(sidecars, key=lambda it: it.shard.file)
        if wanted & {*it.shard.clip_ids, *(missing.clip_id for missing in it.missing)}
    ]
    rows = {clip_id for it in used for clip_id in it.shard.clip_ids}
    missing = {m.clip_id: m for it in used for m in it.missing if m.clip_id in wanted - rows}
    if lost := wanted - rows - missing.keys():
        raise RuntimeError(f"{len(lost)} clips are in no finished shard, such as {min(lost)}")
    statistics = Statistics.merged(it.statistics for it in used if it.statistics)
    if statistics is None:
        reasons = "; ".join(f"{it.clip_id}: {it.reason}" for it in list(missing.values())[:3])
        raise InputError(f"none of {len(wanted)} clips could be encoded ({reasons})")
    return LatentManifest(
        clips_manifest=clips_manifest,
        encoding=used[0].encoding,
        shapes=used[0].shapes,
        scaling_factor=used[0].scaling_factor,
        statistics=statistics,
        clips=tuple(sorted((c for c in clips if c.clip_id in rows), key=lambda c: c.clip_id)),
        missing=tuple(sorted(missing.values(), key=lambda it: it.clip_id)),
        shards=tuple(it.shard for it in used),
    )


def write_manifest(folder: UPath, manifest: LatentManifest) -> tuple[str, str]:
    """Write the manifest under its digest; returns its file name and the digest."""
    content = manifest.model_dump_json(indent=1).encode()
    digest = hashlib.sha256(content).hexdigest()
    name = f"manifest-{digest[:12]}.json"
    write_atomically(folder / name, content)
    return name, digest


def read_manifest(path: UPath) -> LatentManifest:
    """Read a manifest; raises pydantic's `ValidationError` where it is none of this format."""
    return LatentManifest.model_validate_json(path.read_bytes())
