"""A shard is finished, wholly, or it is not there."""

import io

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from upath import UPath

from exvideo.latents.schema import arrow_schema
from exvideo.latents.shard import finished_shard, finished_shards, open_shard
from tests.latents.rows import ENCODING, SHAPES, first_frame, row, source_clip, write_shard

SCHEMA = arrow_schema(SHAPES, {})


def test_equal_rows_make_equal_bytes(tmp_path):
    for name in ("one", "two"):
        write_shard(UPath(tmp_path) / name, "shard-0", ["a", "b"])
    for file in ("shard-0.parquet", "shard-0.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_row_says_where_its_clip_comes_from_and_what_is_known_of_it(tmp_path):
    write_shard(UPath(tmp_path), "shard-0", ["a"])
    (read,) = pq.read_table(tmp_path / "shard-0.parquet").to_pylist()
    told = {"source": "made", "source_sha256": ["a-digest"], "start_frame": 7, "stride": 2}
    told |= {"caption": "the clip a", "licence": "CC0", "motion_bucket_id": 127}
    assert {name: read[name] for name in told} == told
    assert read["fps"] == pytest.approx(29.97)
    assert read["motion_score"] == 0.25
    np.testing.assert_array_equal(Image.open(io.BytesIO(read["first_frame"])), first_frame("a"))


def test_an_error_while_writing_leaves_nothing(tmp_path):
    with (
        pytest.raises(AttributeError),
        open_shard(UPath(tmp_path), "shard-0", SCHEMA) as writer,
    ):
        [writer.write(it, source_clip("a")) for it in (row("a"), None)]
    assert list(tmp_path.iterdir()) == []


def test_who_takes_a_shard_over_removes_what_is_left_of_it_and_nothing_of_others(tmp_path):
    for name in ("shard-0.parquet", "shard-0.json", "shard-01.parquet", "manifest.json"):
        (tmp_path / f"{name}.{'0f' * 16}.part").touch()
    write_shard(UPath(tmp_path), "shard-0", ["a"])
    assert sorted(it.name.partition(".")[0] for it in tmp_path.glob("*.part")) == [
        "manifest",
        "shard-01",
    ]


def test_a_shard_without_sidecar_is_not_finished(tmp_path):
    with open_shard(UPath(tmp_path), "shard-0", SCHEMA) as writer:
        writer.write(row("a"), source_clip("a"))
    assert (tmp_path / "shard-0.parquet").exists()
    assert finished_shards(UPath(tmp_path), ENCODING) == []
    assert finished_shard(UPath(tmp_path), "shard-0") is None


def test_finished_shards_are_found_with_their_facts(tmp_path):
    written = [write_shard(UPath(tmp_path), f"shard-{i}", [c]) for i, c in enumerate("ab")]
    assert finished_shards(UPath(tmp_path), ENCODING) == written
    assert finished_shard(UPath(tmp_path), "shard-1") == written[1]


def test_a_truncated_or_absent_shard_is_not_finished(tmp_path):
    for name in ("shard-0", "shard-1"):
        write_shard(UPath(tmp_path), name, ["a"])
    shard = tmp_path / "shard-0.parquet"
    shard.write_bytes(shard.read_bytes()[:-1])
    (tmp_path / "shard-1.parquet").unlink()
    assert finished_shards(UPath(tmp_path), ENCODING) == []
    assert finished_shard(UPath(tmp_path), "shard-0") is None
    assert finished_shard(UPath(tmp_path), "shard-1") is None


def test_another_models_shards_do_not_count(tmp_path):
    write_shard(UPath(tmp_path), "shard-0", ["a"])
    other = ENCODING.model_copy(update={"base_id": "another"})
    assert finished_shards(UPath(tmp_path), other) == []


def test_a_folder_that_does_not_exist_holds_no_shards(tmp_path):
    assert finished_shards(UPath(tmp_path) / "absent", ENCODING) == []


@pytest.mark.parametrize("left", [b"", b'{"format": "exvideo.latents/4", "enc'])
def test_a_sidecar_that_a_power_cut_left_makes_its_shard_unfinished(tmp_path, left):
    kept = write_shard(UPath(tmp_path), "shard-1", ["b"])
    write_shard(UPath(tmp_path), "shard-0", ["a"])
    (tmp_path / "shard-0.json").write_bytes(left)
    assert finished_shards(UPath(tmp_path), ENCODING) == [kept]
    assert finished_shard(UPath(tmp_path), "shard-0") is None
