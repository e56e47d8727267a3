import hashlib
import os
from pathlib import Path

import pytest
from upath import UPath

from exvideo.errors import InputError
from exvideo.progress import Silent
from exvideo.sources.local import collect_local, find_local, local_fingerprint


def write(path: Path, content: bytes = b"video") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_folder_is_searched_to_its_bottom_for_videos_only(tmp_path: Path) -> None:
    wanted = [write(tmp_path / "a.mp4"), write(tmp_path / "deep/er/b.MOV")]
    write(tmp_path / "notes.txt")
    assert find_local([str(tmp_path)]) == wanted


def test_a_file_named_twice_counts_once(tmp_path: Path) -> None:
    file = write(tmp_path / "a.mp4")
    assert find_local([str(file), str(tmp_path), str(tmp_path / "*.mp4")]) == [file]


def test_a_glob_may_be_recursive(tmp_path: Path) -> None:
    deep = write(tmp_path / "x/y/deep.bin")
    assert find_local([str(tmp_path / "**" / "*.bin")]) == [deep]


def test_a_name_with_brackets_is_a_name_before_it_is_a_glob(tmp_path: Path) -> None:
    file = write(tmp_path / "take [1].mp4")
    assert find_local([str(file)]) == [file]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"source\.paths: there is no .*missing"):
        find_local([str(tmp_path / "missing")])


def test_a_folder_without_videos_is_named(tmp_path: Path) -> None:
    write(tmp_path / "notes.txt")
    with pytest.raises(InputError, match="holds no video"):
        find_local([str(tmp_path)])


def test_a_glob_without_a_match_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file matches .*\*\.mp4"):
        find_local([str(tmp_path / "*.mp4")])


def test_rows_name_the_files_where_they_lie(tmp_path: Path) -> None:
    file = write(tmp_path / "a.mp4")
    (row,) = collect_local([str(file)], UPath(tmp_path / "out"), Silent())
    assert row.path == row.video_id == str(file)
    assert row.sha256 == hashlib.sha256(b"video").hexdigest()
    assert row.size_bytes == 5


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    file = write(tmp_path / "a.mp4")
    before = collect_local([str(file)], UPath(tmp_path / "out"), Silent())
    stat = file.stat()
    file.write_bytes(b"other")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert collect_local([str(file)], UPath(tmp_path / "out"), Silent()) == before
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert collect_local([str(file)], UPath(tmp_path / "out"), Silent()) != before


def test_the_fingerprint_changes_with_the_listing_only(tmp_path: Path) -> None:
    file = write(tmp_path / "a.mp4")
    before = local_fingerprint([str(tmp_path)])
    write(tmp_path / "notes.txt")
    assert local_fingerprint([str(tmp_path)]) == before
    added = write(tmp_path / "b.mp4")
    assert local_fingerprint([str(tmp_path)]) != before
    added.unlink()
    os.utime(file, ns=(0, 0))
    assert local_fingerprint([str(tmp_path)]) != before
