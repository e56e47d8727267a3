"""litdata: binary chunks of 64 MB (its default), a resumable `StreamingDataLoader`."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from litdata import StreamingDataLoader, StreamingDataset, optimize
from litdata.streaming import downloader

from benchmarks.loader.clips import NoiseClips
from benchmarks.loader.format import WORKERS, Feed, Place, Reader, Share

NAME = "litdata"
REMOTE = "a range a row; in a row, chunks of 64 MB into a cache"
RESUMES = True


def _sample(number: int, clips: NoiseClips) -> dict[str, Any]:
    clip = clips[number]
    # Its loader would make a tensor of each byte of a bytes object.
    return {**vars(clip), "first_frame": np.frombuffer(clip.first_frame, np.uint8)}


def write(folder: Path, clips: NoiseClips) -> None:
    optimize(
        fn=partial(_sample, clips=clips),
        inputs=list(range(len(clips))),
        output_dir=str(folder),
        chunk_bytes="64MB",
        num_workers=1,
        start_method="fork",
        verbose=False,
    )


def _open(place: Place, **options: Any) -> StreamingDataset:
    if place.remote:
        options["storage_options"] = {
            "endpoint_url": os.environ["AWS_ENDPOINT_URL"],
            "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        }
        options["cache_dir"] = str(place.cache)
        # It has no option for a store without a certificate, as ours here is.
        downloader._OBSTORE_CLIENT_OPTIONS["allow_http"] = True
    return StreamingDataset(place.url, **options)


def _item(place: Place) -> Reader:
    dataset = _open(place)
    return lambda number: dataset[number]["latents"]


READERS = {"dataset[i]": _item}


def scan(place: Place) -> Iterator[np.ndarray]:
    for sample in _open(place):
        yield sample["latents"]


def feed(folder: Path, share: Share, state: Any) -> Feed:
    dataset = _open(Place(str(folder), folder), shuffle=True, drop_last=True)
    loader = StreamingDataLoader(dataset, batch_size=share.own, num_workers=WORKERS)
    if state is not None:
        loader.load_state_dict(state)
    return (batch["number"].tolist() for batch in loader), loader.state_dict


def states(saved: list[Any], ranks: int, folder: Path) -> list[Any]:
    return [saved[0]] * ranks
