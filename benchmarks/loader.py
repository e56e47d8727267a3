"""How long a random clip takes from a warm local disk: our shards and what else one might use;
and how fast a whole data set is verified.

python -m benchmarks.loader --folder /tmp/loader --rows 64
"""

import argparse
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet as pq
import torch
from safetensors.numpy import load_file, save_file
from upath import UPath

from exvideo.latents.dataset import LatentClips
from exvideo.latents.manifest import Encoding, LatentClip, LatentManifest, Sidecar, manifest_of
from exvideo.latents.schema import LatentRow, TensorShapes, arrow_schema
from exvideo.latents.shard import open_shard
from exvideo.latents.shard_index import ShardIndex, read_index, read_range
from exvideo.latents.verify import verify
from exvideo.progress import Silent

SHAPES = TensorShapes(latents=(128, 4, 64, 64), image_embeds=(1024,), cond_latents=(4, 4, 64, 64))
"""A clip of 128 frames of 512x512 by SVD's encoders: a row of 4.3 MB."""

ENCODING = Encoding(
    base_id="noise",
    preprocessing="made",
    dtype="float32",
    frames_per_batch=8,
    noise_augmentations=4,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=64, help="clips, all in one shard")
    parser.add_argument("--reads", type=int, default=320, help="random reads of each kind")
    parser.add_argument("--folder", type=Path, help="for temporary files; the system's by default")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory(prefix="loader-", dir=arguments.folder) as folder:
        manifest = _write(Path(folder), arguments.rows)
        order = np.random.default_rng(0).integers(arguments.rows, size=arguments.reads)
        print(f"{'random read of a clip, ms':42} {'mean':>6} {'median':>6} {'p95':>6}")
        for reader in _readers(Path(folder), manifest).values():
            reader(0)  # imports, the disk's cache
        for name, reader in _readers(Path(folder), manifest).items():
            took = [_milliseconds(reader, int(row)) for row in order]
            figures = [float(np.mean(took)), *np.percentile(took, [50, 95])]
            print(f"{name:42} " + " ".join(f"{figure:6.2f}" for figure in figures))
        began = time.process_time()
        found = verify(UPath(folder), manifest, Silent())
        speed = sum(it.bytes for it in manifest.shards) / 1e9 / (time.process_time() - began)
        print(f"verify: {speed:.1f} GB a second of one core, {len(found)} damaged")


def _readers(folder: Path, manifest: LatentManifest) -> dict[str, Callable[[int], object]]:
    """What reads row i, each kind with nothing opened yet."""
    (shard,) = manifest.shards
    path = folder / shard.file
    clips = LatentClips(UPath(folder), manifest, "train")

    @cache
    def index() -> ShardIndex:
        return read_index(read_range(UPath(path), *shard.footer_range()))

    def without_checksum(row: int) -> object:
        return index().row(row, read_range(UPath(path), *shard.row_range(row)), SHAPES)

    return {
        "ours, without checksum": without_checksum,
        "ours, with checksum": clips.row,
        "ours, checked and as float32 tensors": clips.__getitem__,
        "plain pyarrow, a row group, file opened": lambda row: pq.ParquetFile(path).read_row_group(
            row, use_threads=False
        ),
        "safetensors, one file a clip, no checksum": lambda row: load_file(
            folder / f"{row}.safetensors"
        ),
    }


def _milliseconds(reader: Callable[[int], object], row: int) -> float:
    started = time.perf_counter()
    reader(row)
    return 1e3 * (time.perf_counter() - started)


def _write(folder: Path, rows: int) -> LatentManifest:
    """The same clips of noise in a shard and in a file each."""
    noise = (5 * np.random.default_rng(0).standard_normal(SHAPES.latents)).astype(np.float16)
    clips = [
        LatentClip(clip_id=f"{row:016x}", split="train", fps=24, motion_bucket_id=127)
        for row in range(rows)
    ]
    with open_shard(
        UPath(folder), "shard-0", arrow_schema(SHAPES, {"encoding": ENCODING.model_dump()})
    ) as writer:
        for number, clip in enumerate(clips):
            row = LatentRow(
                clip_id=clip.clip_id,
                noise_aug_strengths=np.full(4, 0.05, np.float32),
                image_embeds=noise.ravel()[:1024],
                cond_latents=noise[:4],
                latents=np.roll(noise, number, axis=0),
            )
            writer.write(row)
            tensors = {name: getattr(row, name) for name in ("noise_aug_strengths", "image_embeds")}
            tensors |= {"cond_latents": row.cond_latents, "latents": row.latents}
            save_file(tensors, folder / f"{number}.safetensors")
    sidecar = Sidecar(
        encoding=ENCODING,
        shapes=SHAPES,
        scaling_factor=1,
        encoded_with={},
        shard=writer.shard,
        missing=(),
        statistics=row.statistics(),
    )
    return manifest_of(clips, [sidecar], "")


if __name__ == "__main__":
    main()
