"""Ours: 64 rows a Parquet shard, a row group a row, a manifest over all of them."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from upath import UPath

from benchmarks.loader.bare_rows import ROWS, manifest_at, plain_pyarrow, unchecked
from benchmarks.loader.clips import ENCODING, SHAPES, NoiseClip, NoiseClips
from benchmarks.loader.format import WORKERS, Feed, Place, Reader, Share
from exvideo.clips.manifest import Clip
from exvideo.config import load_preset
from exvideo.latents.dataset import LatentClips
from exvideo.latents.manifest import (
    LatentClip,
    Sidecar,
    manifest_of,
    write_manifest,
)
from exvideo.latents.schema import LatentRow, arrow_schema
from exvideo.latents.shard import open_shard
from exvideo.training.distributed import Ranks
from exvideo.training.samples import training_batches

NAME = "ours"
REMOTE = "a footer a shard, then a range a row"
RESUMES = True


def write(folder: Path, clips: NoiseClips) -> None:
    taken = iter(clips)
    sidecars, known = [], []
    while shard := _write_shard(folder, len(sidecars), list(islice(taken, ROWS))):
        sidecars.append(shard)
        # The motion bucket tells which clip a batch has.
        known += [
            LatentClip(clip_id=it, split="train", fps=24, motion_bucket_id=int(it, 16))
            for it in shard.shard.clip_ids
        ]
    write_manifest(UPath(folder), manifest_of(known, sidecars, ""))


def _write_shard(folder: Path, number: int, clips: list[NoiseClip]) -> Sidecar | None:
    if not clips:
        return None
    size = {"num_frames": 128, "height": 512, "width": 512}
    source = Clip(clip_id="", video_id="", source="made", status="kept", pieces=[], **size)
    schema = arrow_schema(SHAPES, {"encoding": ENCODING.model_dump()})
    with open_shard(UPath(folder), f"shard-{number}", schema) as writer:
        for clip in clips:
            row = LatentRow(
                clip_id=f"{clip.number:016x}",
                noise_aug_strengths=clip.noise_aug_strengths,
                first_frame=clip.first_frame,
                image_embeds=clip.image_embeds,
                cond_latents=clip.cond_latents,
                latents=clip.latents,
            )
            writer.write(row, source)
    return Sidecar(
        encoding=ENCODING,
        shapes=SHAPES,
        scaling_factor=1,
        encoded_with={},
        shard=writer.shard,
        missing=(),
        statistics=writer.statistics,
    )


def _clips(place: Place) -> LatentClips:
    return LatentClips(UPath(place.url), manifest_at(place), "train")


def _checked(place: Place) -> Reader:
    clips = _clips(place)
    return lambda number: clips.row(number).latents


def _tensors(place: Place) -> Reader:
    clips = _clips(place)
    return lambda number: clips[number]["latents"].numpy()


READERS = {
    "a row, its checksum compared": _checked,
    "a row, unchecked": unchecked,
    "a row, checked, as float32 tensors": _tensors,
    "plain pyarrow, the file opened": plain_pyarrow,
}


def scan(place: Place) -> Iterator[np.ndarray]:
    clips = _clips(place)
    return (clips.row(number).latents for number in range(len(clips)))


def feed(folder: Path, share: Share, state: Any) -> Feed:
    """The state is the number of steps done: the order is a function of it."""
    clips = _clips(Place(str(folder), folder))
    done = state or 0
    config = load_preset("tiny").training.model_copy(
        update={
            "batch_size": share.clips,
            "micro_batch_size": share.own,
            "steps": len(clips) // share.clips,
            "loader_workers": WORKERS,
        }
    )

    def batches() -> Iterator[list[int]]:
        nonlocal done
        ranks = Ranks(share.rank, share.ranks, torch.device("cpu"))
        for batch in training_batches(clips, config, ranks, first_step=done):
            done += 1
            yield batch.added_time_ids[:, 1].long().tolist()

    return batches(), lambda: done


def states(saved: list[Any], ranks: int, folder: Path) -> list[Any]:
    return [saved[0]] * ranks
