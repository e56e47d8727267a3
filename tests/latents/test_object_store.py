"""The same code writes to an object store and reads from it."""

import pytest
from torch.utils.data import DataLoader
from upath import UPath

from exvideo.latents.dataset import LatentClips
from exvideo.latents.manifest import read_manifest, write_manifest
from exvideo.latents.schema import arrow_schema
from exvideo.latents.shard import finished_shards, open_shard
from tests.latents.rows import ENCODING, SHAPES, manifest, row, source_clip, write_shard


def test_shards_of_a_url_are_written_found_and_read(bucket):
    folder = bucket / "tiny" / "latents"
    name, _ = write_manifest(folder, manifest(folder, ["a", "b"], ["c"]))
    assert [it.shard.rows for it in finished_shards(folder, ENCODING)] == [2, 1]
    clips = LatentClips(folder, read_manifest(folder / name), "train")
    assert (clips[2]["latents"].numpy() == row("c").latents).all()


def test_forked_loader_workers_read_a_url(bucket):
    clips = LatentClips(bucket / "latents", manifest(bucket / "latents", ["a", "b"]), "train")
    assert clips[0]["clip_id"] == "a"  # the parent's connection must not reach the workers
    loader = DataLoader(clips, num_workers=1, multiprocessing_context="fork", timeout=60)
    assert [batch["clip_id"] for batch in loader] == [["a"], ["b"]]


def test_the_bytes_are_those_of_a_local_folder(bucket, tmp_path):
    for folder in (bucket / "latents", UPath(tmp_path)):
        write_shard(folder, "shard-0", ["a", "b"])
    for file in ("shard-0.parquet", "shard-0.json"):
        assert (bucket / "latents" / file).read_bytes() == (tmp_path / file).read_bytes()


def test_an_error_while_writing_leaves_nothing(bucket):
    with (
        pytest.raises(AttributeError),
        open_shard(bucket / "latents", "shard-0", arrow_schema(SHAPES, {})) as writer,
    ):
        [writer.write(it, source_clip("a")) for it in (row("a"), None)]
    assert list(bucket.iterdir()) == []


def test_a_row_costs_one_request_of_its_own_bytes_and_a_shard_one_for_its_footer(bucket):
    made = manifest(bucket / "latents", ["a", "b", "c"], ["d"])
    clips = LatentClips(bucket / "latents", made, "train")
    answers: list[int] = []

    def answered(parsed, **_):
        answers.append(parsed["ContentLength"])

    # The loader's own client: fsspec gives every one who asks for these settings the same.
    client = bucket.fs.connect() or bucket.fs.s3
    client.meta.events.register("after-call.s3", answered)
    try:
        assert [clips[i]["clip_id"] for i in (0, 1, 2, 3, 0)] == ["a", "b", "c", "d", "a"]
    finally:
        client.meta.events.unregister("after-call.s3", answered)
    row_bytes = [end - start for start, end in map(made.shards[0].row_range, range(3))]
    last = made.shards[1]
    footers = [end - start for start, end in (it.footer_range() for it in made.shards)]
    assert answers == [footers[0], *row_bytes, footers[1], last.row_ends[0] - 4, row_bytes[0]]
