"""mosaicml-streaming: MDS shards of 64 MiB (its default), elastic determinism."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from streaming import MDSWriter, StreamingDataLoader, StreamingDataset

from benchmarks.loader.clips import SHAPES, NoiseClips
from benchmarks.loader.format import WORKERS, Feed, Place, Reader, Share

NAME = "mosaicml-streaming"
REMOTE = "a shard of 64 MiB into a cache, read there"
RESUMES = True


def write(folder: Path, clips: NoiseClips) -> None:
    columns = {
        "number": "int",
        "latents": _array(SHAPES.latents),
        "cond_latents": _array(SHAPES.cond_latents),
        "image_embeds": _array(SHAPES.image_embeds),
        "noise_aug_strengths": "ndarray:float32:4",
        "first_frame": "bytes",
    }
    with MDSWriter(out=str(folder), columns=columns, exist_ok=True) as writer:
        for clip in clips:
            writer.write(vars(clip))


def _array(shape: tuple[int, ...]) -> str:
    return "ndarray:float16:" + ",".join(map(str, shape))


def _open(place: Place, **options: Any) -> StreamingDataset:
    if place.remote:
        os.environ["S3_ENDPOINT_URL"] = os.environ["AWS_ENDPOINT_URL"]
        return StreamingDataset(remote=place.url, local=str(place.cache), **options)
    return StreamingDataset(local=place.url, **options)


def _item(place: Place) -> Reader:
    dataset = _open(place, batch_size=1)
    return lambda number: dataset[number]["latents"]


READERS = {"dataset[i]": _item}


def scan(place: Place) -> Iterator[np.ndarray]:
    for sample in _open(place, batch_size=1):
        yield sample["latents"]


def feed(folder: Path, share: Share, state: Any) -> Feed:
    dataset = _open(Place(str(folder), folder), shuffle=True, batch_size=share.own)
    loader = StreamingDataLoader(dataset, batch_size=share.own, num_workers=WORKERS)
    if state is not None:
        loader.load_state_dict(state)
    return (batch["number"].tolist() for batch in loader), loader.state_dict


def states(saved: list[Any], ranks: int, folder: Path) -> list[Any]:
    return [saved[0]] * ranks
