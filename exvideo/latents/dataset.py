"""Latent shards as a map-style dataset: one clip a read, checked against its checksum."""

from typing import TypedDict

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch.utils.data import Dataset
from upath import UPath

from exvideo.latents.manifest import LatentManifest, Split
from exvideo.latents.schema import CorruptRowError, LatentRow, from_table


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

    Files are opened to read a row and closed again: a Parquet footer costs far less than a row,
    and loader workers, forked or spawned, have no handle to share.
    """

    def __init__(self, folder: UPath, manifest: LatentManifest, split: Split) -> None:
        self.scaling_factor = manifest.scaling_factor
        self.shapes = manifest.shapes
        self.clips = [clip for clip in manifest.clips if clip.split == split]
        self._folder = str(folder)
        self._storage_options = dict(folder.storage_options)
        rows = {
            clip_id: (shard.file, row)
            for shard in manifest.shards
            for row, clip_id in enumerate(shard.clip_ids)
        }
        self._rows = [rows[clip.clip_id] for clip in self.clips]

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> LatentSample:
        """Raises `CorruptRowError` where a shard does not hold what was written."""
        clip = self.clips[index]
        row = self._read(*self._rows[index])
        if row.clip_id != clip.clip_id:
            raise CorruptRowError(
                f"{self._rows[index]} holds clip {row.clip_id}, not {clip.clip_id}"
            )
        return LatentSample(
            latents=torch.from_numpy(row.latents.astype("float32")),
            image_embeds=torch.from_numpy(row.image_embeds.astype("float32")),
            cond_latents=torch.from_numpy(row.cond_latents.astype("float32")),
            noise_aug_strengths=torch.from_numpy(row.noise_aug_strengths),
            fps=torch.tensor(clip.fps, dtype=torch.float32),
            motion_bucket_id=torch.tensor(clip.motion_bucket_id),
            clip_id=clip.clip_id,
        )

    def _read(self, file: str, row: int) -> LatentRow:
        # Opened anew: a file system that a parent process has used does not survive a fork.
        path = UPath(self._folder, **self._storage_options) / file
        try:
            with path.open("rb") as stream:
                # On this thread alone: Arrow's own would hold a Python file when the interpreter
                # ends, which aborts the process.
                parquet = pq.ParquetFile(stream, pre_buffer=False)
                table = parquet.read_row_group(row, use_threads=False)
            return from_table(table, self.shapes)
        except (CorruptRowError, pa.ArrowInvalid) as error:
            raise CorruptRowError(f"{path}, row {row}: {error}") from error
        except OSError as error:
            error.add_note(f"reading row {row} of {path}")
            raise
