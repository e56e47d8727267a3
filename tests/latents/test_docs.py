"""The snippets of docs/latents.md do what it says."""

import re

import numpy as np
import pytest
from upath import UPath

from exvideo.config import PROJECT
from tests.latents.rows import SHAPES, manifest, row

SNIPPETS = re.findall(r"```python\n(.*?)```", (PROJECT / "docs" / "latents.md").read_text(), re.S)


@pytest.fixture
def shard(tmp_path):
    manifest(UPath(tmp_path), ["a", "b"])
    return tmp_path / "shard-0.parquet"


def test_plain_pyarrow_reads_a_row(shard):
    names = {"shard": shard}
    exec(SNIPPETS[0], names)  # noqa: S102 - our own documentation
    assert names["latents"].shape == SHAPES.latents
    np.testing.assert_array_equal(names["latents"], row("a").latents)


def test_duckdb_finds_clips_and_their_pictures(shard):
    names = {"shard": shard}
    exec(SNIPPETS[2], names)  # noqa: S102 - our own documentation
    (clip_id, fps, picture), (other, *_) = names["rows"]
    assert (clip_id, other) == ("a", "b")
    assert fps == pytest.approx(29.97)
    assert picture == row("a").first_frame


def test_plain_pandas_reads_the_numbers(shard):
    names = {"shard": shard}
    exec(SNIPPETS[1], names)  # noqa: S102 - our own documentation
    assert list(names["rows"]["clip_id"]) == ["a", "b"]
    assert names["rows"]["latent_std"][1] == pytest.approx(row("b").statistics().std, rel=1e-3)
