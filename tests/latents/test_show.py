"""What `exvideo show latents` refuses, it refuses at once."""

import subprocess
import sys
from pathlib import Path

import pytest
from upath import UPath

from exvideo.latents.manifest import write_manifest
from exvideo.receipt import Receipt, write_receipt
from pipelines.show import main
from tests.latents.rows import manifest

SHOW = (
    "import sys; from pipelines.show import main; print(main(sys.argv[1:]), {} & {{*sys.modules}})"
)


def test_a_clip_that_is_not_there_is_refused_before_slow_libraries_are_loaded(
    tmp_path: Path,
) -> None:
    here = UPath(tmp_path) / "tiny" / "latent_shards"
    name, digest = write_manifest(here / "f", manifest(here / "f", ["a", "b"], ["c"]))
    files = {"manifest": name}
    told = {"key": "k", "folder": "f", "digest": digest, "files": files, "figures": {}}
    write_receipt(here, Receipt(stage="latent_shards", seconds=0, **told))
    asked = ["latents", "3", "--set", f"storage.root={tmp_path}", "--out", f"{tmp_path}/row.png"]
    slow = {"torch", "diffusers", "transformers"}
    command = [sys.executable, "-c", SHOW.format(slow), *asked]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.stdout == "2 set()\n"
    assert "there is no clip 3 in" in ended.stderr
    assert "give a number from 0 to 2, or an id such as a" in ended.stderr


def test_a_picture_is_not_written_under_another_formats_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["latents", "0", "--out", "row.jpg"])
    assert "--out: row.jpg becomes a PNG" in capsys.readouterr().err
