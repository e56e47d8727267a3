"""The data set gives back what was written, and notices what was not."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.data import DataLoader
from upath import UPath

from exvideo.latents.dataset import LatentClips
from exvideo.latents.manifest import manifest_of, read_manifest, write_manifest
from exvideo.latents.schema import CorruptRowError
from tests.latents.rows import SHAPES, clip, manifest, row, write_shard


def test_a_clip_comes_back_as_it_was_written(tmp_path):
    clips = LatentClips(UPath(tmp_path), manifest(UPath(tmp_path), ["a", "b"], ["c"]), "train")
    sample, written = clips[2], row("c")
    assert sample["clip_id"] == "c"
    assert sample["fps"] == torch.tensor(29.97)
    assert sample["motion_bucket_id"] == 127
    assert clips.caption(2) == "the clip c"
    for name in ("latents", "image_embeds", "cond_latents", "noise_aug_strengths"):
        assert sample[name].dtype == torch.float32
        np.testing.assert_array_equal(sample[name], getattr(written, name).astype("float32"))
    assert sample["latents"].shape == SHAPES.latents


def test_clips_of_several_shapes_come_back_and_know_their_buckets(tmp_path):
    wide = SHAPES.model_copy(update={"latents": (2, 4, 2, 4), "cond_latents": (2, 4, 2, 4)})
    sidecars = [
        write_shard(UPath(tmp_path), "shard-0", ["a", "c"]),
        write_shard(UPath(tmp_path), "shard-1", ["b"], shapes=wide),
    ]
    made = manifest_of([clip(it) for it in "abc"], sidecars, "digest")
    clips = LatentClips(UPath(tmp_path), made, "train")
    assert [it.tolist() for it in clips.buckets] == [[1], [0, 2]]
    for place, clip_id, shapes in ((0, "a", SHAPES), (1, "b", wide), (2, "c", SHAPES)):
        np.testing.assert_array_equal(clips.row(place).latents, row(clip_id, shapes).latents)


def test_a_new_caption_reaches_its_clip_and_encodes_nothing(tmp_path):
    made = manifest(UPath(tmp_path), ["b", "a"])
    told = tuple(replace(it, caption=f"new {it.clip_id}") for it in made.clips)
    clips = LatentClips(UPath(tmp_path), made.model_copy(update={"clips": told}), "train")
    assert [clips.caption(i) for i in (0, 1)] == ["new a", "new b"]


def test_captions_of_a_manifest_that_was_read_stay_in_their_file_until_one_is_asked_for(tmp_path):
    made = manifest(UPath(tmp_path), ["d", "a"], ["c", "b"], held_out=["c"])
    name, _ = write_manifest(UPath(tmp_path), made)
    read = read_manifest(UPath(tmp_path) / name)
    assert {it.caption for it in read.clips} == {""}
    train = LatentClips(UPath(tmp_path), read, "train")
    assert [train.caption(i) for i in range(3)] == ["the clip a", "the clip b", "the clip d"]
    assert LatentClips(UPath(tmp_path), read, "held_out").caption(0) == "the clip c"


def test_a_caption_that_is_damaged_is_noticed(tmp_path):
    name, _ = write_manifest(UPath(tmp_path), manifest(UPath(tmp_path), ["a"]))
    clips = LatentClips(UPath(tmp_path), read_manifest(UPath(tmp_path) / name), "train")
    (file,) = tmp_path.glob("captions-*")
    flip_byte_of(file, b"the clip a")
    with pytest.raises(CorruptRowError, match=r"captions-.*caption 0"):
        clips.caption(0)


def test_a_split_holds_its_clips_ordered_whatever_the_shards(tmp_path):
    made = manifest(UPath(tmp_path), ["d", "a"], ["c", "b"], held_out=["d", "b"])
    train = LatentClips(UPath(tmp_path), made, "train")
    held_out = LatentClips(UPath(tmp_path), made, "held_out")
    assert [train[i]["clip_id"] for i in range(len(train))] == ["a", "c"]
    assert [held_out[i]["clip_id"] for i in range(len(held_out))] == ["b", "d"]


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_loader_workers_give_batches(tmp_path, start):
    clips = LatentClips(UPath(tmp_path), manifest(UPath(tmp_path), ["a", "b"], ["c"]), "train")
    assert clips[0]["clip_id"] == "a"  # the parent has read before it forks
    loader = DataLoader(clips, batch_size=3, num_workers=1, multiprocessing_context=start)
    (batch,) = list(loader)
    assert batch["clip_id"] == ["a", "b", "c"]
    assert batch["latents"].shape == (3, *SHAPES.latents)


def test_it_is_small_to_send(tmp_path):
    clips = LatentClips(UPath(tmp_path), manifest(UPath(tmp_path), ["a", "b"]), "train")
    assert len(pickle.dumps(clips)) < 4096


def test_a_flipped_byte_is_noticed(tmp_path):
    clips = LatentClips(UPath(tmp_path), manifest(UPath(tmp_path), ["a", "b"]), "train")
    flip_byte_of(tmp_path / "shard-0.parquet", row("b").latents.tobytes())
    assert clips[0]["clip_id"] == "a"
    with pytest.raises(CorruptRowError, match=r"shard-0\.parquet, row 1.*checksum"):
        clips[1]


def test_a_shard_in_anothers_place_is_noticed(tmp_path):
    clips = LatentClips(UPath(tmp_path), manifest(UPath(tmp_path), ["a"], ["b"]), "train")
    (tmp_path / "shard-1.parquet").replace(tmp_path / "shard-0.parquet")
    with pytest.raises(CorruptRowError, match=r"not the shard that|clip b, not a"):
        clips[0]


def test_two_shards_that_changed_names_are_noticed(tmp_path):
    clips = LatentClips(UPath(tmp_path), manifest(UPath(tmp_path), ["a"], ["b"]), "train")
    one, other = tmp_path / "shard-0.parquet", tmp_path / "shard-1.parquet"
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    for index in (0, 1):
        with pytest.raises(CorruptRowError, match=r"not the shard that|checksum differs"):
            clips[index]


def test_rows_in_another_order_are_noticed(tmp_path):
    clips = LatentClips(UPath(tmp_path), manifest(UPath(tmp_path), ["a", "b"]), "train")
    write_shard(UPath(tmp_path), "shard-0", ["b", "a"])
    with pytest.raises(CorruptRowError, match=r"shard-0\.parquet, row 0"):
        clips[0]


def test_rows_of_another_encoding_are_refused_by_name(tmp_path):
    made = manifest(UPath(tmp_path), ["a"])
    encoding = made.encoding.model_copy(update={"base_id": "random:1"})
    clips = LatentClips(UPath(tmp_path), made.model_copy(update={"encoding": encoding}), "train")
    with pytest.raises(
        CorruptRowError,
        match=r"encoded with base_id random:0, and not random:1 as the manifest lists$",
    ):
        clips[0]


def test_a_row_is_a_row_group_and_pages_carry_checksums(tmp_path):
    manifest(UPath(tmp_path), ["a", "b", "c"])
    file = pq.ParquetFile(tmp_path / "shard-0.parquet", page_checksum_verification=True)
    assert file.num_row_groups == 3
    columns = [file.metadata.row_group(0).column(i) for i in range(file.metadata.num_columns)]
    assert {column.compression for column in columns} == {"UNCOMPRESSED"}
    assert file.read().num_rows == 3
    flip_byte_of(tmp_path / "shard-0.parquet", row("b").latents.tobytes())
    file = pq.ParquetFile(tmp_path / "shard-0.parquet", page_checksum_verification=True)
    with pytest.raises(OSError, match=r"(?i)crc"):
        file.read()


def flip_byte_of(path: Path, content: bytes) -> None:
    """Change one bit in the middle of `content`, which the file holds."""
    stored = bytearray(path.read_bytes())
    stored[stored.index(content) + len(content) // 2] ^= 1
    path.write_bytes(stored)
