"""Rows of our shards, read without the checks of `LatentClips`."""

from functools import cache

import numpy as np
import pyarrow.parquet as pq
from upath import UPath

from benchmarks.loader.clips import SHAPES
from benchmarks.loader.format import Place, Reader
from exvideo.latents.manifest import LatentManifest, read_manifest
from exvideo.latents.shard_index import ShardIndex, read_index, read_range

ROWS = 64
"""Of a shard."""


def manifest_at(place: Place) -> LatentManifest:
    (path,) = UPath(place.url).glob("manifest-*.json")
    return read_manifest(path)


def unchecked(place: Place) -> Reader:
    shards = manifest_at(place).shards

    @cache
    def index(shard: int) -> ShardIndex:
        path = UPath(place.url) / shards[shard].file
        return read_index(read_range(path, *shards[shard].footer_range()))

    def read(number: int) -> np.ndarray:
        shard, row = divmod(number, ROWS)
        path = UPath(place.url) / shards[shard].file
        content = read_range(path, *shards[shard].row_range(row))
        return index(shard).row(row, content, SHAPES).latents

    return read


def plain_pyarrow(place: Place) -> Reader:
    def read(number: int) -> np.ndarray:
        shard, row = divmod(number, ROWS)
        with pq.ParquetFile(f"{place.url}/shard-{shard}.parquet") as file:
            group = file.read_row_group(row, use_threads=False)
        return np.frombuffer(group["latents"][0].as_buffer(), np.float16).reshape(SHAPES.latents)

    return read
