"""A stage is up to date with what the base's files hold, not with where they lie."""

import shutil
from pathlib import Path

import pytest

from exvideo.config import PROJECT, Preset, load_preset
from pipelines.base_digest import base_digest

TINY_SVD = PROJECT / "exvideo" / "weights" / "tiny_svd"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A copy of the embedded base, to spoil."""
    return Path(shutil.copytree(TINY_SVD, tmp_path / "base"))


def preset(base: Path, root: Path) -> Preset:
    return load_preset("tiny", {"model.base.path": str(base), "storage.root": str(root)})


def digest(base: Path, root: Path) -> str:
    return base_digest(preset(base, root), ("vae",))


def test_a_copy_elsewhere_is_the_same(tmp_path: Path, base: Path) -> None:
    assert digest(base, tmp_path / "one") == digest(TINY_SVD, tmp_path / "other")


def test_a_newer_date_is_the_same(tmp_path: Path, base: Path) -> None:
    before = digest(base, tmp_path / "root")
    for file in base.rglob("*"):
        file.touch()
    assert digest(base, tmp_path / "root") == before


def test_weights_that_are_changed_in_place_are_others(tmp_path: Path, base: Path) -> None:
    before = digest(base, tmp_path / "root")
    (weights,) = (base / "vae").glob("*.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert digest(base, tmp_path / "root") != before


def test_other_parts_are_of_no_consequence(tmp_path: Path, base: Path) -> None:
    before = digest(base, tmp_path / "root")
    (base / "unet" / "notes.txt").write_text("none")
    assert digest(base, tmp_path / "root") == before
