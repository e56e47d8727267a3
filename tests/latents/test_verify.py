"""Reading a data set back names whatever is not what was written."""

from pathlib import Path

import numpy as np
import pytest
from upath import UPath

from exvideo.latents.verify import Damage, verify
from exvideo.progress import Silent
from pipelines.verify import main
from tests.latents.rows import manifest, row


@pytest.fixture
def made(tmp_path: Path):
    return manifest(UPath(tmp_path), ["a", "b", "c"], ["d"])


def found(folder: Path, made) -> list[Damage]:
    return verify(UPath(folder), made, Silent())


def test_what_was_written_is_sound(tmp_path: Path, made) -> None:
    assert found(tmp_path, made) == []


def test_a_damaged_row_is_named(tmp_path: Path, made) -> None:
    path = tmp_path / "shard-0.parquet"
    content = bytearray(path.read_bytes())
    content[content.index(row("b").latents.tobytes()) + 5] ^= 1
    path.write_bytes(content)
    (damage,) = found(tmp_path, made)
    assert (damage.shard, damage.row, damage.clip_id) == ("shard-0.parquet", 1, "b")
    assert "shard-0.parquet, row 1, clip b" in str(damage)


def test_of_a_thousand_flipped_bits_none_is_missed(tmp_path: Path, made) -> None:
    path = tmp_path / "shard-0.parquet"
    content = np.fromfile(path, np.uint8)
    rng = np.random.default_rng(0)
    for byte, bit in zip(
        rng.integers(len(content), size=1000), rng.integers(8, size=1000), strict=True
    ):
        content[byte] ^= 1 << bit
        content.tofile(path)
        assert len(found(tmp_path, made)) == 1, (byte, bit)
        content[byte] ^= 1 << bit


def test_a_file_that_is_cut_off_is_named_with_the_rows_that_it_lost(tmp_path: Path, made) -> None:
    path = tmp_path / "shard-0.parquet"
    path.write_bytes(path.read_bytes()[: made.shards[0].row_ends[1] - 10])
    reasons = [str(it) for it in found(tmp_path, made)]
    assert any("bytes" in it for it in reasons)
    assert any("row 1" in it for it in reasons)
    assert any("row 2" in it for it in reasons)
    assert not any("row 0" in it for it in reasons)


def test_a_shard_that_is_gone_is_named(tmp_path: Path, made) -> None:
    (tmp_path / "shard-1.parquet").unlink()
    assert found(tmp_path, made) == [Damage("shard-1.parquet", None, None, "the file is gone")]


def test_without_latents_the_command_says_what_to_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["latents", "--preset", "tiny", "--set", f"storage.root={tmp_path}"]) == 2
    assert "run `exvideo run latent_shards --preset tiny`" in capsys.readouterr().err
