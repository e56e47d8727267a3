"""webdataset: tar files, here of 8 clips, so that every loader process has some."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import webdataset as wds
from upath import UPath

from benchmarks.loader.clips import NoiseClips
from benchmarks.loader.format import WORKERS, Feed, Place, Share

NAME = "webdataset"
REMOTE = "curl, shard after shard"
RESUMES = False


def write(folder: Path, clips: NoiseClips) -> None:
    write_tars(folder, clips)


def write_tars(folder: Path, clips: NoiseClips) -> list[str]:
    """Names of the tar files."""
    with wds.ShardWriter(str(folder / "clips-%06d.tar"), maxcount=8, verbose=0) as writer:
        for clip in clips:
            arrays = {
                f"{name}.npy": value
                for name, value in vars(clip).items()
                if isinstance(value, np.ndarray)
            }
            key = {"__key__": f"{clip.number:06d}"}
            writer.write({**key, **arrays, "first_frame.webp": clip.first_frame})
    return sorted(it.name for it in folder.glob("*.tar"))


READERS: dict[str, Any] = {}
"""A tar has no index."""


def as_array(content: bytes) -> np.ndarray:
    return np.load(io.BytesIO(content), allow_pickle=False)


def scan(place: Place) -> Iterator[np.ndarray]:
    urls = [_url(it, place) for it in sorted(UPath(place.url).glob("*.tar"), key=str)]
    for sample in wds.WebDataset(urls, shardshuffle=False):
        arrays = {name: as_array(it) for name, it in sample.items() if name.endswith(".npy")}
        yield arrays["latents.npy"]


def _url(path: UPath, place: Place) -> str:
    return path.fs.sign(path.path, expiration=3600) if place.remote else path.path


def feed(folder: Path, share: Share, state: Any) -> Feed:
    urls = sorted(map(str, folder.glob("*.tar")))
    dataset = wds.WebDataset(urls, shardshuffle=100, nodesplitter=wds.split_by_node, seed=1)
    shuffled = dataset.shuffle(100).to_tuple("__key__")
    loader = wds.WebLoader(shuffled.batched(share.own), batch_size=None, num_workers=WORKERS)
    return (list(map(int, keys)) for (keys,) in loader), lambda: None


def states(saved: list[Any], ranks: int, folder: Path) -> list[Any]:
    return [None] * ranks
