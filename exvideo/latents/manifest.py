"""What a folder of latent shards holds: sidecars, one a shard, and the manifest over them all."""

import ctypes
import hashlib
from collections.abc import Iterator, Sequence, Set
from dataclasses import fields, replace
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, PositiveInt
from pydantic.dataclasses import dataclass
from upath import UPath

from exvideo.clips.manifest import Clip
from exvideo.errors import InputError
from exvideo.latents.captions import write_captions
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
    log_variance: bool = False
    """Whether rows hold the posteriors' log-variances, too."""


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

    format: Literal["exvideo.latents/4"] = FORMAT
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


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class LatentClip:
    """How training is told of a clip, apart from its tensors.

    With slots, as there are very many: as models they doubled what a manifest takes in memory.
    """

    clip_id: str
    split: Split
    fps: float
    motion_bucket_id: int
    motion_score: float | None = None
    caption: str = ""
    """Empty in a manifest that was read, if `LatentManifest.captions` names a file of them."""
    licence: str = ""

    @classmethod
    def of(cls, clip: Clip) -> Self:
        """What training needs to know of a kept clip."""
        return cls(**clip.model_dump(include={it.name for it in fields(cls)}))


class Bucket(_Document):
    """The clips of one shape."""

    shapes: TensorShapes
    clips: int
    """That are encoded."""
    missing: int
    """That are not, by any of the reasons in the manifest's `missing`."""
    shards: tuple[Shard, ...]


class LatentManifest(_Document):
    """All latents of one clips manifest.

    What can change while the pixels stay (split, frame rate, motion, caption, licence) counts as
    it stands here, by the clip's content digest, so that no change of it encodes anything again.
    A row has it as it was when the row was encoded.
    """

    format: Literal["exvideo.latents/4"] = FORMAT
    clips_manifest: str
    """Digest of the clips manifest."""
    encoding: Encoding
    scaling_factor: float
    statistics: Statistics
    """Of the shards below, rows that are no longer wanted included."""
    clips: tuple[LatentClip, ...]
    """By clip_id."""
    captions: str | None = None
    """The file of the clips' captions (`exvideo.latents.captions`), in the order of `clips`."""
    missing: tuple[Missing, ...]
    buckets: tuple[Bucket, ...]
    """By their shapes."""

    @property
    def shards(self) -> tuple[Shard, ...]:
        """Of all buckets."""
        return tuple(shard for bucket in self.buckets for shard in bucket.shards)


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
        scaling_factor=used[0].scaling_factor,
        statistics=statistics,
        clips=tuple(sorted((c for c in clips if c.clip_id in rows), key=lambda c: c.clip_id)),
        missing=tuple(sorted(missing.values(), key=lambda it: it.clip_id)),
        buckets=tuple(_buckets(used, wanted & rows, missing.keys())),
    )


def _buckets(sidecars: Sequence[Sidecar], encoded: Set[str], missing: Set[str]) -> Iterator[Bucket]:
    shapes: dict[TensorShapes, list[Sidecar]] = {}
    for sidecar in sidecars:
        shapes.setdefault(sidecar.shapes, []).append(sidecar)
    for shape, held in sorted(shapes.items(), key=lambda it: it[0].latents):
        lost = {missed.clip_id for it in held for missed in it.missing}
        yield Bucket(
            shapes=shape,
            clips=len({c for it in held for c in it.shard.clip_ids} & encoded),
            missing=len(lost & missing),
            shards=tuple(it.shard for it in held),
        )


def write_manifest(folder: UPath, manifest: LatentManifest) -> tuple[str, str]:
    """Write the manifest under its digest, and its clips' captions into a file of their own.

    Returns the manifest's file name and the digest.
    """
    if any(clip.caption for clip in manifest.clips):
        told = write_captions(folder, [clip.caption for clip in manifest.clips])
        clips = tuple(replace(clip, caption="") for clip in manifest.clips)
        manifest = manifest.model_copy(update={"clips": clips, "captions": told})
    content = manifest.model_dump_json(indent=1).encode()
    digest = hashlib.sha256(content).hexdigest()
    name = f"manifest-{digest[:12]}.json"
    write_atomically(folder / name, content)
    return name, digest


def read_manifest(path: UPath) -> LatentManifest:
    """Read a manifest; raises pydantic's `ValidationError` where it is none of this format."""
    manifest = LatentManifest.model_validate_json(path.read_bytes())
    _give_back_memory()
    return manifest


def _give_back_memory() -> None:
    # Parsing takes three times what the manifest holds, and glibc keeps that for the process.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
