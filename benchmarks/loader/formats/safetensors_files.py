"""safetensors, one file a clip, under torch's own `DistributedSampler`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, load_file, save_file
from torch.utils.data import DataLoader, Dataset, DistributedSampler
from upath import UPath

from benchmarks.loader.clips import NoiseClips
from benchmarks.loader.format import WORKERS, Feed, Place, Reader, Share

NAME = "safetensors, a file a clip"
REMOTE = "a file a row"
RESUMES = False


def write(folder: Path, clips: NoiseClips) -> None:
    for clip in clips:
        tensors = {
            "latents": clip.latents,
            "cond_latents": clip.cond_latents,
            "image_embeds": clip.image_embeds,
            "noise_aug_strengths": clip.noise_aug_strengths,
            "first_frame": np.frombuffer(clip.first_frame, np.uint8),
        }
        save_file(tensors, folder / f"{clip.number:06d}.safetensors")


def _file(place: Place) -> Reader:
    def read(number: int) -> np.ndarray:
        path = UPath(place.url) / f"{number:06d}.safetensors"
        if place.remote:
            return load(path.fs.cat_file(path.path))["latents"]
        return load_file(path.path)["latents"]

    return read


READERS = {"a file": _file}


def scan(place: Place) -> Iterator[np.ndarray]:
    read = _file(place)
    count = len(list(UPath(place.url).glob("*.safetensors")))
    return (read(number) for number in range(count))


class _Files(Dataset[int]):
    def __init__(self, folder: Path) -> None:
        self._files = sorted(folder.glob("*.safetensors"))

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, number: int) -> int:
        load_file(self._files[number])
        return number


def feed(folder: Path, share: Share, state: Any) -> Feed:
    files = _Files(folder)
    sampler: DistributedSampler = DistributedSampler(files, share.ranks, share.rank, seed=1)
    loader = DataLoader(files, share.own, sampler=sampler, num_workers=WORKERS)
    return (batch.tolist() for batch in loader), lambda: None


def states(saved: list[Any], ranks: int, folder: Path) -> list[Any]:
    return [None] * ranks
