"""Rows stand in the plan's order, whatever the order in which clips were encoded."""

import pyarrow as pa
import pytest
import torch
from upath import UPath

from exvideo.latents.encode import EncodedClip
from exvideo.latents.in_order import InOrderWriter
from exvideo.latents.manifest import Missing
from exvideo.latents.schema import arrow_schema
from exvideo.latents.shard import open_shard
from exvideo.latents.speed import Done
from tests.latents.rows import SHAPES, row, source_clip

LOST = Missing(clip_id="d", reason="the file is gone", permanent=False)


def encoded(clip_id: str, **changes: torch.Tensor) -> EncodedClip:
    made = row(clip_id)
    names = ("noise_aug_strengths", "image_embeds", "cond_latents", "latents")
    tensors = {it: torch.from_numpy(getattr(made, it)) for it in names} | changes
    return EncodedClip(
        clip_id, first_frame=made.first_frame, log_variances=None, began=1.0, ended=1.5, **tensors
    )


def write(folder, *clips: tuple[int, EncodedClip | Missing]):
    folder.mkdir()
    told = []
    with (
        open_shard(UPath(folder), "shard-0", arrow_schema(SHAPES, {})) as shard,
        InOrderWriter(shard, [source_clip(it) for it in "abcd"]) as writer,
    ):
        for number, clip in clips:
            told += writer.put(number, clip)
        told += writer.rest()
    return [it.clip_id for it in told], writer, shard.shard


def test_equal_clips_make_equal_bytes_in_any_order(tmp_path):
    clips = [(0, encoded("a")), (1, encoded("b")), (2, encoded("c")), (3, LOST)]
    first = write(tmp_path / "one", *clips)
    second = write(tmp_path / "two", *clips[::-1])
    assert first[2] == second[2]
    assert first[0] == second[0] == ["a", "b", "c", "d"]
    assert first[2].clip_ids == ("a", "b", "c")
    assert first[1].missing == second[1].missing == [LOST]


def test_a_clip_is_told_when_it_is_written_and_not_before(tmp_path):
    with (
        open_shard(UPath(tmp_path), "shard-0", arrow_schema(SHAPES, {})) as shard,
        InOrderWriter(shard, [source_clip(it) for it in "ab"]) as writer,
    ):
        assert writer.put(1, encoded("b")) + writer.rest() == []
        done = writer.put(0, encoded("a")) + writer.rest()
        assert done == [Done("a", encoding_s=0.5), Done("b", encoding_s=0.5)]


def test_what_cannot_be_stored_is_missing_by_its_reason(tmp_path):
    broken = encoded("b", latents=torch.full(SHAPES.latents, float("inf")))
    _, writer, shard = write(tmp_path / "one", (0, encoded("a")), (1, broken))
    assert shard.clip_ids == ("a",)
    assert "of latents are not finite" in writer.missing[0].reason


def test_a_row_of_another_shape_ends_the_shard_and_leaves_nothing(tmp_path):
    other = encoded("a", latents=torch.zeros(1, 4, 2, 2))  # no row of this shard
    with pytest.raises(pa.ArrowInvalid, match="expected to be length 96 was 32"):
        write(tmp_path / "one", (0, other), (1, encoded("b")))
    assert list((tmp_path / "one").iterdir()) == []
