"""A shard's footer tells where every tensor lies, to the byte."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from upath import UPath

from exvideo.latents.schema import CorruptRowError, arrow_schema
from exvideo.latents.shard import open_shard
from exvideo.latents.shard_index import read_index, read_range
from tests.latents.rows import ENCODING, SHAPES, row, source_clip, write_shard


@pytest.fixture
def shard(tmp_path):
    """Rows whose ids, and so their pages' headers, differ in length."""
    return write_shard(UPath(tmp_path), "shard-0", ["a", "b" * 300, "c"]).shard


def test_the_rows_fill_the_file_from_its_magic_to_its_footer(tmp_path, shard):
    ranges = [shard.row_range(number) for number in range(3)]
    assert ranges[0][0] == 4
    assert [end for _, end in ranges] == [*(start for start, _ in ranges[1:]), shard.row_ends[-1]]
    assert shard.footer_range() == (ranges[-1][1], (tmp_path / shard.file).stat().st_size)


def test_a_rows_range_holds_what_pyarrow_reads(tmp_path, shard):
    path = UPath(tmp_path) / shard.file
    index = read_index(read_range(path, *shard.footer_range()))
    plain = pq.read_table(tmp_path / shard.file).to_pylist()
    for number, clip_id in enumerate(shard.clip_ids):
        read = index.row(number, read_range(path, *shard.row_range(number)), SHAPES)
        assert read.clip_id == clip_id == plain[number]["clip_id"]
        assert read.crc32c() == row(clip_id).crc32c() == plain[number]["crc32c"]
        assert read.latents.tobytes() == plain[number]["latents"]
        assert read.first_frame == row(clip_id).first_frame == plain[number]["first_frame"]
        assert read.noise_aug_strengths.tolist() == plain[number]["noise_aug_strengths"]


def test_log_variances_come_back_where_a_shard_has_them(tmp_path):
    shapes = SHAPES.model_copy(update={"log_variances": SHAPES.latents})
    written = replace(row("a"), log_variances=-row("a").latents)
    with open_shard(UPath(tmp_path), "shard-0", arrow_schema(shapes, {})) as writer:
        writer.write(written, source_clip("a"))
    path = UPath(tmp_path) / "shard-0.parquet"
    index = read_index(read_range(path, *writer.shard.footer_range()))
    read = index.row(0, read_range(path, *writer.shard.row_range(0)), shapes)
    np.testing.assert_array_equal(read.log_variances, written.log_variances)
    assert read.crc32c() == written.crc32c() != row("a").crc32c()


def test_the_footer_alone_tells_what_the_shard_was_made_with(tmp_path, shard):
    index = read_index(read_range(UPath(tmp_path) / shard.file, *shard.footer_range()))
    assert index.described["encoding"]["base_id"] == ENCODING.base_id


def test_bytes_that_are_no_footer_are_refused(tmp_path, shard):
    with pytest.raises(CorruptRowError, match="its footer cannot be read"):
        read_index(np.zeros(100, np.uint8))
    with pytest.raises(CorruptRowError, match=f"ends at byte {shard.bytes}, before"):
        read_range(UPath(tmp_path) / shard.file, shard.bytes - 5, shard.bytes + 5)


def test_a_shard_of_missing_clips_alone_has_a_footer(tmp_path):
    shard = write_shard(UPath(tmp_path), "shard-1", [], missing=["a"]).shard
    index = read_index(read_range(UPath(tmp_path) / shard.file, *shard.footer_range()))
    assert index.clip_ids == ()
