"""The manifest adds up what the shards hold."""

from dataclasses import replace

import numpy as np
import pytest
from upath import UPath

from exvideo.errors import InputError
from exvideo.latents.manifest import manifest_of, read_manifest, write_manifest
from exvideo.latents.schema import Statistics
from tests.latents.rows import SHAPES, clip, row, write_shard


def test_statistics_of_rows_merge_to_those_of_the_whole():
    merged = Statistics.merged(row(it).statistics() for it in "abc")
    whole = np.concatenate([row(it).latents for it in "abc"]).astype("float64")
    assert merged.rows == 3
    assert merged.mean == pytest.approx(whole.mean())
    assert merged.std == pytest.approx(whole.std())
    assert merged.absmax == np.abs(whole).max()


def test_every_clip_is_a_row_or_missing(tmp_path):
    sidecars = [
        write_shard(UPath(tmp_path), "shard-0", ["a"], missing=["b"]),
        write_shard(UPath(tmp_path), "shard-1", ["c"]),
    ]
    made = manifest_of([clip(c) for c in "cba"], sidecars, "digest")
    assert [it.clip_id for it in made.clips] == ["a", "c"]
    assert [(it.clip_id, it.reason) for it in made.missing] == [("b", "broken")]
    assert made.statistics.rows == 2


def test_a_bucket_says_how_many_of_its_clips_are_there_and_how_many_are_not(tmp_path):
    wide = SHAPES.model_copy(update={"latents": (3, 4, 2, 4)})
    sidecars = [
        write_shard(UPath(tmp_path), "shard-0", ["a", "x"], missing=["b"]),
        write_shard(UPath(tmp_path), "shard-1", ["c", "d"], shapes=wide),
    ]
    made = manifest_of([clip(c) for c in "abcd"], sidecars, "digest")
    assert [(it.shapes, it.clips, it.missing) for it in made.buckets] == [
        (SHAPES, 1, 1),
        (wide, 2, 0),
    ]
    values = [*row("a").latents.flat, *row("x").latents.flat]
    values += [v for it in "cd" for v in row(it, wide).latents.flat]
    assert made.statistics.std == pytest.approx(np.std(values, dtype="float64"))


def test_clips_that_are_no_longer_wanted_are_left_out(tmp_path):
    sidecars = [
        write_shard(UPath(tmp_path), "shard-0", ["a", "b"], missing=["x"]),
        write_shard(UPath(tmp_path), "shard-1", ["c"]),
    ]
    made = manifest_of([clip("a")], sidecars, "digest")
    assert [it.clip_id for it in made.clips] == ["a"]
    assert made.missing == ()
    assert [it.file for it in made.shards] == ["shard-0.parquet"]


def test_a_clip_that_no_shard_accounts_for_is_an_error(tmp_path):
    sidecars = [write_shard(UPath(tmp_path), "shard-0", ["a"])]
    with pytest.raises(RuntimeError, match="1 clips are in no finished shard, such as b"):
        manifest_of([clip("a"), clip("b")], sidecars, "digest")


def test_nothing_but_missing_clips_is_refused_with_a_reason(tmp_path):
    sidecars = [write_shard(UPath(tmp_path), "shard-0", [], missing=["a"])]
    with pytest.raises(InputError, match=r"none of 1 clips.*a: broken"):
        manifest_of([clip("a")], sidecars, "digest")


def test_it_reads_back_and_is_named_by_its_digest(tmp_path):
    made = manifest_of([clip("a")], [write_shard(UPath(tmp_path), "shard-0", ["a"])], "digest")
    name, digest = write_manifest(UPath(tmp_path), made)
    assert name == f"manifest-{digest[:12]}.json"
    read = read_manifest(UPath(tmp_path) / name)
    assert read.captions is not None
    untold = tuple(replace(it, caption="") for it in made.clips)
    assert read == made.model_copy(update={"clips": untold, "captions": read.captions})
    assert write_manifest(UPath(tmp_path), made) == (name, digest)
