"""What plan, data set and sampler of very many clips take, with rows that stand for real ones:
seconds of the processor, and memory that is held afterwards.

python -m benchmarks.latent_manifest --clips 434000 --caption 800
"""

import argparse
import time
from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
from upath import UPath

from benchmarks.loader.clips import ENCODING, SHAPES
from exvideo.clips.manifest import Clip
from exvideo.latents.dataset import LatentClips
from exvideo.latents.manifest import (
    LatentClip,
    Shard,
    Sidecar,
    manifest_of,
    read_manifest,
    write_manifest,
)
from exvideo.latents.plan import plan_shards
from exvideo.latents.schema import Statistics
from exvideo.training.samples import sample_clip

ROWS = 64
"""Of a shard."""

WORDS = ["a man ", "walks ", "beside ", "water ", "under ", "trees ", "slowly ", "camera "]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=434_000)
    parser.add_argument("--caption", type=int, default=800, help="letters of a clip's caption")
    arguments = parser.parse_args()
    count = arguments.clips
    ids = [f"{number:016x}" for number in range(count)]
    size = {"num_frames": 128, "height": 512, "width": 512}
    clips = [
        Clip(clip_id=it, video_id=it, source="made", status="kept", pieces=[], **size) for it in ids
    ]
    before = _held()
    _timed("plan", before, lambda: plan_shards(clips, [], ROWS, ENCODING))
    clips.clear()
    with TemporaryDirectory() as folder:
        draw = np.random.default_rng(0)
        known = [
            LatentClip(
                clip_id=it,
                split="train",
                fps=24,
                motion_bucket_id=1,
                caption="".join(WORDS[it] for it in draw.integers(8, size=arguments.caption // 6)),
            )
            for it in ids
        ]
        shards = [_sidecar(ids[start : start + ROWS]) for start in range(0, count, ROWS)]
        name, _ = write_manifest(UPath(folder), manifest_of(known, shards, ""))
        del known, shards, ids
        path = UPath(folder) / name
        print(f"the manifest has {path.stat().st_size / 1e6:.0f} MB")
        for told in UPath(folder).glob("captions-*"):
            print(f"the captions have {told.stat().st_size / 1e6:.0f} MB")
        _apart(path)


def _apart(path: UPath) -> None:
    """In a process of its own, as a rank's: memory is what it takes from the start."""
    import multiprocessing

    process = multiprocessing.get_context("spawn").Process(target=_read, args=(str(path),))
    process.start()
    process.join()


def _read(path: str) -> None:
    before = _held()
    manifest = _timed("manifest read", before, lambda: read_manifest(UPath(path)))
    clips = _timed("data set", before, lambda: LatentClips(UPath(path).parent, manifest, "train"))
    _timed("first sample of the sampler", before, lambda: sample_clip(0, 8, 0, clips.buckets))
    _timed("a caption", before, lambda: clips.caption(len(clips) // 2))


def _timed(what: str, before: float, do: Callable[[], Any]) -> Any:
    began = time.process_time()
    done = do()
    print(f"{what:30} {time.process_time() - began:6.2f} s {_held() - before:8.0f} MB held")
    return done


def _held() -> float:
    return psutil.Process().memory_info().rss / 1e6


def _sidecar(ids: list[str]) -> Sidecar:
    shard = Shard(
        file=f"shard-{ids[0]}.parquet",
        rows=len(ids),
        bytes=1,
        sha256="0" * 64,
        clip_ids=tuple(ids),
        row_ends=tuple(4_500_000 * (place + 1) for place in range(len(ids))),
        row_crc32c=tuple(np.arange(len(ids)).tolist()),
        footer_crc32c=0,
    )
    return Sidecar(
        encoding=ENCODING,
        shapes=SHAPES,
        scaling_factor=1,
        encoded_with={},
        shard=shard,
        missing=(),
        statistics=Statistics(rows=len(ids), values=1, mean=0, std=1, absmax=1),
    )


if __name__ == "__main__":
    main()
