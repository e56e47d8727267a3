"""Latent shards as a map-style dataset: one clip a read, checked against its checksum."""

from typing import Any, TypedDict

import google_crc32c
import numpy as np
import torch
from torch.utils.data import Dataset
from upath import UPath

from exvideo.latents.captions import read_caption
from exvideo.latents.manifest import LatentManifest, Split
from exvideo.latents.schema import CorruptRowError, LatentRow
from exvideo.latents.shard_index import ShardIndex, read_index, read_range


class LatentSample(TypedDict):
    """One clip as training takes it; tensors are float32 unless said otherwise."""

    latents: torch.Tensor
    """[T, C, h, w], raw posterior means: times `LatentClips.scaling_factor` for the U-Net."""
    image_embeds: torch.Tensor
    """[D]"""
    cond_latents: torch.Tensor
    """[K, C, h, w], raw, as the U-Net is conditioned: no scaling factor."""
    noise_aug_strengths: torch.Tensor
    """[K]"""
    fps: torch.Tensor
    """Scalar, the true frame rate."""
    motion_bucket_id: torch.Tensor
    """Scalar, int64."""
    clip_id: str


class LatentClips(Dataset[LatentSample]):
    """The clips of one split, ordered by clip_id, whatever shards hold them.

    A row is one range of bytes, read from its file and from no other. A shard's footer is read
    once a process and kept as a few numbers a row; files are opened to read and closed again, so
    that loader workers, forked or spawned, have no handle to share.
    """

    def __init__(self, folder: UPath, manifest: LatentManifest, split: Split) -> None:
        self.scaling_factor = manifest.scaling_factor
        self.clips = [clip for clip in manifest.clips if clip.split == split]
        self._places = np.array(
            [place for place, clip in enumerate(manifest.clips) if clip.split == split], np.int32
        )
        self._captions = manifest.captions
        self._folder = str(folder)
        self._storage_options = dict(folder.storage_options)
        self._shards = manifest.shards
        self._encoding = manifest.encoding.model_dump()
        self._shapes = [bucket.shapes for bucket in manifest.buckets for _ in bucket.shards]
        rows = {
            clip_id: (shard, row)
            for shard, described in enumerate(manifest.shards)
            for row, clip_id in enumerate(described.clip_ids)
        }
        places = [rows[clip.clip_id] for clip in self.clips]
        self._rows = np.array(places, np.int32).reshape(-1, 2)
        of_shard = np.repeat(
            np.arange(len(manifest.buckets)), [len(it.shards) for it in manifest.buckets]
        )
        of_clip = of_shard[self._rows[:, 0]]
        buckets = [np.flatnonzero(of_clip == it) for it in range(len(manifest.buckets))]
        self.buckets = [it for it in buckets if len(it)]
        """Places of the clips of one shape, int64, for each shape that has any."""
        self._indexes: dict[int, ShardIndex] = {}

    def __len__(self) -> int:
        return len(self.clips)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_indexes": {}}

    def __getitem__(self, index: int) -> LatentSample:
        """Raises `CorruptRowError` where a shard does not hold what was written."""
        clip = self.clips[index]
        row = self.row(index)
        return LatentSample(
            latents=_float32(row.latents),
            image_embeds=_float32(row.image_embeds),
            cond_latents=_float32(row.cond_latents),
            noise_aug_strengths=torch.from_numpy(row.noise_aug_strengths),
            fps=torch.tensor(clip.fps, dtype=torch.float32),
            motion_bucket_id=torch.tensor(clip.motion_bucket_id),
            clip_id=clip.clip_id,
        )

    def caption(self, index: int) -> str:
        """A clip's caption as the clips' manifest had it, empty where it had none."""
        if self._captions is None:
            return self.clips[index].caption
        path = UPath(self._folder, **self._storage_options) / self._captions
        return read_caption(path, int(self._places[index]))

    def row(self, index: int) -> LatentRow:
        """A clip's row as it is stored; raises as reading a sample does."""
        shard, row = self._rows[index].tolist()
        described = self._shards[shard]
        # Made anew: a file system that a parent process has used does not survive a fork.
        path = UPath(self._folder, **self._storage_options) / described.file
        try:
            where = self._index(shard, path)
            content = read_range(path, *described.row_range(row))
            if google_crc32c.value(content) != described.row_crc32c[row]:
                raise CorruptRowError(
                    f"clip {described.clip_ids[row]} is not what was written: its checksum differs"
                )
            return where.row(row, content, self._shapes[shard])
        except CorruptRowError as error:
            raise CorruptRowError(f"{path}, row {row}: {error}") from error
        except OSError as error:
            error.add_note(f"reading row {row} of {path}")
            raise

    def _index(self, shard: int, path: UPath) -> ShardIndex:
        if shard not in self._indexes:
            described = self._shards[shard]
            try:
                footer = read_range(path, *described.footer_range())
                if google_crc32c.value(footer) != described.footer_crc32c:
                    raise CorruptRowError("the checksum of its footer differs")
                index = read_index(footer)
            except CorruptRowError as error:
                raise CorruptRowError(f"not the shard that the manifest lists: {error}") from error
            if index.described["encoding"] != self._encoding:
                raise CorruptRowError(_mixed(index.described["encoding"], self._encoding))
            for held, listed in zip(index.clip_ids, described.clip_ids, strict=True):
                if held != listed:
                    raise CorruptRowError(f"the shard holds clip {held}, not {listed}")
            self._indexes[shard] = index
        return self._indexes[shard]


def _mixed(held: dict[str, Any], listed: dict[str, Any]) -> str:
    """What two encodings differ in."""
    differ = [
        f"{name} {held.get(name)}, and not {listed.get(name)}"
        for name in listed | held
        if held.get(name) != listed.get(name)
    ]
    return f"the shard was encoded with {'; '.join(differ)} as the manifest lists"


def _float32(stored: np.ndarray) -> torch.Tensor:
    # NumPy's memory comes in large pages, torch converts in vectors: together ten times as fast
    # as either alone.
    return torch.from_numpy(np.empty(stored.shape, np.float32)).copy_(torch.from_numpy(stored))
