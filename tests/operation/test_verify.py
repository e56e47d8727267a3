"""The demo's latents, read back, damaged, mended and looked at."""

import subprocess
from pathlib import Path

from PIL import Image

from tests.operation.road import Road


def test_a_damaged_shard_is_found_and_encoded_anew(
    road: Road, demo: subprocess.CompletedProcess[str]
) -> None:
    assert road.run("verify", "latents").returncode == 0
    folder = road.output("latent_shards", "manifest").parent
    shard = min(folder.glob("shard-*.parquet"))
    written = shard.read_bytes()
    damaged = bytearray(written)
    damaged[len(damaged) // 2] ^= 1
    shard.write_bytes(damaged)
    found = road.run("verify", "latents")
    assert found.returncode == 1
    assert f"{shard.name}, row " in found.stdout
    mended = road.run("verify", "latents", "--repair")
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert shard.read_bytes() == written
    assert (folder / "damaged" / shard.name).read_bytes() == damaged


def test_a_row_is_shown_beside_its_source(
    road: Road, demo: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    out = tmp_path / "row.png"
    shown = road.run("show", "latents", "0", "--out", str(out))
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "dB" in shown.stdout
    picture = Image.open(out)
    assert picture.width > 2 * picture.height
    refused = road.run("show", "latents", "nothing", "--out", str(out))
    assert refused.returncode == 2
    assert "no clip nothing" in refused.stderr
