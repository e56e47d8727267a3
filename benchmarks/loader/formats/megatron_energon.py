"""megatron-energon: webdataset's tar files with its index, its savable loader.

Its rules for another number of ranks: clips of a step, of a micro-batch, and loader processes in
all stay the same; `energon checkpoint redist` deals the saved states anew.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from megatron.energon import (
    Cooker,
    DefaultTaskEncoder,
    Sample,
    WorkerConfig,
    basic_sample_keys,
    edataclass,
    get_loader,
    get_savable_loader,
    get_train_dataset,
    stateless,
)
from megatron.energon.cache import FileStore
from megatron.energon.cache.file_store import WebdatasetFileStore
from megatron.energon.epathlib import EPath
from megatron.energon.flavors import BaseWebdatasetFactory

from benchmarks.loader.clips import NoiseClips
from benchmarks.loader.format import WORKERS, Feed, Place, Reader, Share
from benchmarks.loader.formats.plain_webdataset import as_array, write_tars

NAME = "megatron-energon"
REMOTE = "its index once, a tar into a cache, read there"
RESUMES = True

PARTS = ("cond_latents.npy", "image_embeds.npy", "noise_aug_strengths.npy", "latents.npy")
PICTURE = "first_frame.webp"


@edataclass
class _Clip(Sample):
    latents: np.ndarray


@stateless
def _cook(sample: dict[str, Any]) -> _Clip:
    arrays = [as_array(sample[it]) for it in PARTS]
    return _Clip(**basic_sample_keys(sample), latents=arrays[-1])


class _Encoder(DefaultTaskEncoder):
    decoder = None
    cookers = (Cooker(_cook),)

    def batch(self, samples: list[_Clip]) -> list[int]:
        return [int(it.__key__.rsplit("/", 1)[-1]) for it in samples]


def write(folder: Path, clips: NoiseClips) -> None:
    tars = write_tars(folder, clips)
    ratio = [("train", 1.0), ("val", 0.0), ("test", 0.0)]
    BaseWebdatasetFactory.prepare_dataset(
        folder, tars, split_parts_ratio=ratio, shuffle_seed=None, workers=2
    )
    dataset = "__module__: megatron.energon\n__class__: CrudeWebdataset\n"
    (folder / ".nv-meta" / "dataset.yaml").write_text(dataset)


def _path(place: Place) -> str:
    """An S3 place through NVIDIA's storage client, with the cache that its pages advise."""
    if not place.remote:
        return place.url
    bucket, path = place.url.removeprefix("s3://").split("/", 1)
    endpoint = {"endpoint_url": os.environ["AWS_ENDPOINT_URL"], "region_name": "us-east-1"}
    keys = {"access_key": "${AWS_ACCESS_KEY_ID}", "secret_key": "${AWS_SECRET_ACCESS_KEY}"}
    profile = {
        "storage_provider": {"type": "s3", "options": {"base_path": bucket, **endpoint}},
        "credentials_provider": {"type": "S3Credentials", "options": keys},
        "caching_enabled": True,  # or each part of a row fetches its whole tar
    }
    place.cache.mkdir(exist_ok=True)
    cache = {
        "size": "500G",
        "eviction_policy": {"policy": "fifo", "refresh_interval": 3600},
        "location": str(place.cache.absolute() / "tars"),
    }
    name = f"store-{place.cache.name}"  # its client keeps a profile's settings, and their cache
    settings = {"profiles": {name: profile}, "cache": cache}
    (place.cache / "msc.json").write_text(json.dumps(settings))
    os.environ["MSC_CONFIG"] = str(place.cache / "msc.json")
    os.environ["ENERGON_LOCAL_COPY_TMP_DIR"] = str(place.cache / "index")
    return f"msc://{name}/{path}"


def _store(place: Place) -> Reader:
    store: FileStore[bytes] = WebdatasetFileStore(EPath(_path(place)))

    def read(number: int) -> np.ndarray:
        store[f"{number:06d}.{PICTURE}"]
        return [as_array(store[f"{number:06d}.{it}"][0]) for it in PARTS][-1]

    return read


READERS = {"its file store, five parts": _store}


def _dataset(path: str, config: WorkerConfig, batch_size: int | None, buffer: int | None) -> Any:
    return get_train_dataset(
        path,
        worker_config=config,
        batch_size=batch_size,
        shuffle_buffer_size=buffer,
        max_samples_per_sequence=100,
        task_encoder=_Encoder(),
    )


def scan(place: Place) -> Iterator[np.ndarray]:
    config = WorkerConfig(rank=0, world_size=1, num_workers=0)
    for sample in get_loader(_dataset(_path(place), config, None, None)):
        yield sample.latents


def feed(folder: Path, share: Share, state: Any) -> Feed:
    workers = 2 * WORKERS // share.ranks
    config = WorkerConfig.default_worker_config(workers)
    dataset = _dataset(str(folder), config, share.clips // (2 * WORKERS), 100)
    loader = get_savable_loader(dataset)
    loader.restore_state_rank(state)
    return loader, loader.save_state_rank


def states(saved: list[Any], ranks: int, folder: Path) -> list[Any]:
    if len(saved) == ranks:
        return saved
    files = [str(folder / f"state_rank{rank}.pt") for rank in range(len(saved))]
    for file, state in zip(files, saved, strict=True):
        torch.save(state, file)
    (dealt := folder / "dealt").mkdir()
    energon = str(Path(sys.executable).with_name("energon"))
    command = [energon, "checkpoint", "redist", "--new-world-size", str(ranks), *files, str(dealt)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return [torch.load(dealt / f"state_rank{rank}.pt", weights_only=False) for rank in range(ranks)]
