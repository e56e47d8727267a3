"""A file is the old one or the new one, however many write it and wherever the power goes."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from upath import UPath

from exvideo.atomic_file import atomic_file, remove_parts
from exvideo.receipt import write_atomically


def test_many_may_write_one_file_at_once(tmp_path: Path) -> None:
    contents = [bytes([number]) * 100_000 for number in range(8)]

    def write(content: bytes) -> None:
        for _ in range(10):
            write_atomically(UPath(tmp_path) / "file", content)
            assert (tmp_path / "file").read_bytes() in contents

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, contents))
    assert [it.name for it in tmp_path.iterdir()] == ["file"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(TypeError), atomic_file(tmp_path / "file") as part:
        [part.write_text(it) for it in ("new", None)]
    assert (tmp_path / "file").read_text() == "old"
    assert [it.name for it in tmp_path.iterdir()] == ["file"]


def test_the_content_reaches_the_disk_before_its_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bool]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        what = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((what.name.partition(".")[0], (tmp_path / "file").exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(UPath(tmp_path) / "file", b"content")
    assert synced == [("file", False), (tmp_path.name, True)]


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    for name in ("a.json", "a.part", "download.7z.part", f"deeper/a.json.{'0f' * 16}.part"):
        (tmp_path / name).touch()
    remove_parts(tmp_path)
    assert sorted(it.name for it in tmp_path.iterdir()) == [
        "a.json",
        "a.part",
        "deeper",
        "download.7z.part",
    ]
    assert list((tmp_path / "deeper").iterdir()) == []
