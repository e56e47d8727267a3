"""Read back every byte of a data set of latents and name what is not what was written."""

from collections.abc import Iterator
from dataclasses import dataclass

import google_crc32c
from upath import UPath

from exvideo.latents.manifest import PARQUET_MAGIC, LatentManifest, Shard
from exvideo.latents.schema import CorruptRowError
from exvideo.latents.shard_index import read_range
from exvideo.progress import Progress


@dataclass(frozen=True)
class Damage:
    """Bytes of a shard that are not what was written."""

    shard: str
    """The file's name."""
    row: int | None
    """None where it is not in a row: the file is gone, or its head or footer is damaged."""
    clip_id: str | None
    reason: str

    def __str__(self) -> str:
        where = self.shard if self.row is None else f"{self.shard}, row {self.row}"
        return f"{where}{f', clip {self.clip_id}' if self.clip_id else ''}: {self.reason}"


def verify(folder: UPath, manifest: LatentManifest, progress: Progress) -> list[Damage]:
    """All damage in the shards that the manifest lists; `folder` holds them.

    Raises `OSError` where the storage does not answer.
    """
    found: list[Damage] = []
    rows = sum(shard.rows for shard in manifest.shards)
    done = 0
    for shard in manifest.shards:
        found += _damage(folder / shard.file, shard)
        done += shard.rows
        progress.update(done, rows, "rows", damaged=len(found))
    return found


def _damage(path: UPath, shard: Shard) -> Iterator[Damage]:
    if not path.exists():
        yield Damage(shard.file, None, None, "the file is gone")
        return
    size = path.stat().st_size
    if size != shard.bytes:
        yield Damage(shard.file, None, None, f"the file has {size} of {shard.bytes} bytes")
    head = (0, len(PARQUET_MAGIC))
    parts: list[tuple[int | None, tuple[int, int], int, str]] = [
        (None, head, google_crc32c.value(PARQUET_MAGIC), "its head"),
        (None, shard.footer_range(), shard.footer_crc32c, "its footer"),
    ]
    parts += [
        (number, shard.row_range(number), checksum, "the row")
        for number, checksum in enumerate(shard.row_crc32c)
    ]
    for row, (start, end), checksum, what in parts:
        try:
            intact = google_crc32c.value(read_range(path, start, end)) == checksum
        except CorruptRowError:
            intact = False  # the file ends before
        if not intact:
            clip_id = None if row is None else shard.clip_ids[row]
            yield Damage(shard.file, row, clip_id, f"{what} is not what was written")
