import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import av
import pandas as pd
import pytest
from PIL import Image
from upath import UPath

from exvideo.errors import InputError
from exvideo.progress import Silent
from exvideo.sources.local import collect_local, find_local, local_fingerprint
from exvideo.sources.manifest import locate


def write(path: Path, content: bytes = b"video") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def found(*paths: Path | str) -> list[Path]:
    return [Path(file.path) for file in find_local([str(path) for path in paths]).files]


def left_out(*paths: Path | str) -> dict[str, str]:
    """The kinds of the reasons, by the entries' names."""
    entries = find_local([str(path) for path in paths]).left_out
    return {Path(entry).name: reason.partition(":")[0] for entry, reason in entries.items()}


def test_a_folder_is_searched_to_its_bottom_for_videos_only(tmp_path: Path) -> None:
    wanted = [write(tmp_path / "a.mp4"), write(tmp_path / "deep/er/b.MOV")]
    write(tmp_path / "notes.txt", b"a line of text\n" * 50)
    assert found(tmp_path) == wanted
    assert left_out(tmp_path) == {"notes.txt": "no video"}


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("phone.3gp", "3gp"),
        ("old.flv", "flv"),
        ("camera.mts", "mpegts"),
        ("camera.m2ts", "mpegts"),
        ("studio.mxf", "mxf"),
        ("disc.vob", "vob"),
        ("without_an_ending", "mp4"),
    ],
)
def test_a_video_is_one_by_what_is_in_it(tmp_path: Path, name: str, format: str) -> None:
    codec = {"3gp": "mpeg4", "flv": "flv"}.get(format, "mpeg2video")
    video = tmp_path / "in" / name
    video.parent.mkdir()
    with av.open(str(video), "w", format=format) as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuv420p"
        for number in range(10):
            frame = av.VideoFrame(128, 96, "yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert found(tmp_path / "in") == [video]


def test_pictures_and_text_are_no_videos(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4")
    for ending in ("jpg", "png", "bmp"):
        Image.new("RGB", (64, 64)).save(tmp_path / f"cover.{ending}")
    write(tmp_path / "about.nfo", b"a line of text\n" * 50)
    write(tmp_path / "data.bin", bytes(5000))
    assert found(tmp_path) == [tmp_path / "a.mp4"]
    assert set(left_out(tmp_path).values()) == {"no video"}
    assert len(left_out(tmp_path)) == 5


def test_files_in_linked_folders_are_found_once(tmp_path: Path) -> None:
    elsewhere = write(tmp_path / "elsewhere/b.mp4")
    folder = tmp_path / "folder"
    inside = write(folder / "a.mp4")
    (folder / "link").symlink_to(elsewhere.parent)
    (folder / "link again").symlink_to(elsewhere.parent)
    (folder / "round").symlink_to(folder)
    assert found(folder) == sorted([inside, elsewhere])
    assert left_out(folder) == {"link again": "another name", "round": "another name"}


def test_a_link_is_another_name_of_its_file(tmp_path: Path) -> None:
    file = write(tmp_path / "z.mp4")
    (tmp_path / "a.mp4").symlink_to(file)
    assert found(tmp_path) == [file]
    assert left_out(tmp_path) == {"a.mp4": "another name"}


def test_what_cannot_be_a_video_is_named_with_its_reason(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4")
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.mp4")
    assert left_out(tmp_path) == {"gone.mp4": "broken link", "pipe.mp4": "no file"}


def test_a_name_that_is_not_utf8_is_left_out_by_name(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4")
    write(tmp_path / os.fsdecode(b"caf\xe9.mp4"))
    assert found(tmp_path) == [tmp_path / "a.mp4"]
    assert left_out(tmp_path) == {"caf\\xe9.mp4": "name"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4")
    write(tmp_path / "secret.mp4").chmod(0)
    write(tmp_path / "closed/b.mp4").parent.chmod(0)
    assert left_out(tmp_path) == {"secret.mp4": "unreadable", "closed": "unreadable"}


def test_every_entry_is_a_file_or_left_out(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / f"deep/{number}.mp4")
        write(tmp_path / f"deep/{number}.txt")
        (tmp_path / f"{number}.mp4").symlink_to(tmp_path / f"deep/{number}.mp4")
    entries = [entry for entry in tmp_path.rglob("*") if not entry.is_dir()]
    assert len(found(tmp_path)) + len(left_out(tmp_path)) == len(entries) == 12


def test_a_file_named_twice_counts_once(tmp_path: Path) -> None:
    file = write(tmp_path / "a.mp4")
    assert found(file, tmp_path, tmp_path / "*.mp4") == [file]


def test_a_glob_may_be_recursive(tmp_path: Path) -> None:
    deep = write(tmp_path / "x/y/deep.bin")
    assert found(tmp_path / "**" / "*.bin") == [deep]


def test_a_name_with_brackets_is_a_name_before_it_is_a_glob(tmp_path: Path) -> None:
    file = write(tmp_path / "take [1].mp4")
    assert found(file) == [file]


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


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_list_names_videos_and_what_is_known_of_them(tmp_path: Path, ending: str) -> None:
    inside, outside = write(tmp_path / "lists/0017"), write(tmp_path / "b, c.mp4")
    write(tmp_path / "b, c.txt", b"A cat.")
    rows = [
        {"path": "0017", "caption": 'A "dog",\nwet.', "licence": "CC0", "source": "mine", "id": 3},
        {"path": str(outside), "caption": None, "licence": None, "source": None, "id": 4},
        {"path": "gone.mp4", "caption": None, "licence": None, "source": None, "id": 5},
    ]
    listing = tmp_path / f"lists/videos.{ending}"
    frame = pd.DataFrame(rows)
    frame.to_csv(listing, index=False) if ending == "csv" else frame.to_parquet(listing)
    found = collect_local([str(listing)], UPath(tmp_path / "out"), Silent())
    told = [(it.path, it.caption, it.licence_claimed, it.source) for it in found.videos]
    assert told == [
        (str(outside), "A cat.", "the user's own", "local"),
        (str(inside), 'A "dog", wet.', "CC0", "mine"),
    ]
    (missing,) = found.left_out.items()
    assert missing[0] == str(tmp_path / "lists/gone.mp4")
    assert missing[1].startswith("missing: ")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"file\na.mp4\n", "row 1 of the list .* has no path"),
        (b"path\n", "has no rows"),
        (b"path\ngone.mp4\n", "none of the files in the list .* is there"),
        (b"path\n\xff\xfe", "can't be read"),
    ],
)
def test_a_list_without_videos_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        find_local([str(write(tmp_path / "videos.csv", content))])


def test_a_parquet_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read"):
        find_local([str(write(tmp_path / "videos.parquet"))])


def test_the_fingerprint_changes_with_a_list_and_a_caption(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4")
    listing = str(write(tmp_path / "list/videos.csv", b"path,caption\n../a.mp4,one\n"))
    seen = {local_fingerprint([listing]), local_fingerprint([listing])}
    write(tmp_path / "a.txt", b"A dog.")
    seen.add(local_fingerprint([listing]))
    write(tmp_path / "list/videos.csv", b"path,caption\n../a.mp4,two\n")
    seen.add(local_fingerprint([listing]))
    assert len(seen) == 3


@pytest.fixture
def store() -> Iterator[UPath]:
    """A folder on a store that only fsspec reads."""
    folder = UPath(f"memory://{uuid.uuid4().hex}")
    (folder / "deep").mkdir(parents=True)
    (folder / "a.mp4").write_bytes(b"video")
    (folder / "a.txt").write_bytes(b"A dog.")
    (folder / "deep/b.mp4").write_bytes(b"another video")
    (folder / "notes.txt").write_bytes(b"a line of text\n" * 50)
    yield folder
    folder.fs.rm(folder.path, recursive=True)


def urls(store: UPath, *names: str) -> list[str]:
    return [store.fs.unstrip_protocol(f"{store.path}/{name}") for name in names]


def test_a_folder_on_a_store_is_searched_like_any(store: UPath, tmp_path: Path) -> None:
    found = collect_local([str(store)], UPath(tmp_path / "out"), Silent())
    assert [video.path for video in found.videos] == urls(store, "a.mp4", "deep/b.mp4")
    first = found.videos[0]
    assert (first.caption, first.size_bytes) == ("A dog.", 5)
    assert first.sha256 == hashlib.sha256(b"video").hexdigest()
    assert locate(UPath("nowhere"), first.path).read_bytes() == b"video"
    kinds = {path: reason.partition(":")[0] for path, reason in found.left_out.items()}
    assert kinds == dict(
        zip(urls(store, "a.txt", "notes.txt"), ("caption", "no video"), strict=True)
    )


def test_a_file_and_a_glob_on_a_store(store: UPath) -> None:
    for text in (f"{store}/deep/b.mp4", f"{store}/**/b.*"):
        assert [file.path for file in find_local([text]).files] == urls(store, "deep/b.mp4")


def test_a_list_on_a_store(store: UPath) -> None:
    (store / "videos.csv").write_bytes(b"path\na.mp4\ndeep/b.mp4\ngone.mp4\n")
    found = find_local([f"{store}/videos.csv"])
    assert [file.path for file in found.files] == urls(store, "a.mp4", "deep/b.mp4")
    (missing,) = found.left_out
    assert missing.endswith("/gone.mp4")


def test_a_store_that_is_out_of_reach_or_empty_is_named(store: UPath) -> None:
    with pytest.raises(InputError, match=r"there is no file at .*/nothing"):
        find_local([f"{store}/nothing"])
    with pytest.raises(InputError, match="gopher://x/y cannot be listed"):
        find_local(["gopher://x/y"])


def test_the_fingerprint_of_a_store_changes_with_its_files(store: UPath) -> None:
    before = local_fingerprint([str(store)])
    assert local_fingerprint([str(store)]) == before
    (store / "c.mp4").write_bytes(b"new")
    assert local_fingerprint([str(store)]) != before


def test_rows_name_the_files_where_they_lie(tmp_path: Path) -> None:
    file = write(tmp_path / "a.mp4")
    (row,) = collect_local([str(file)], UPath(tmp_path / "out"), Silent()).videos
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
    assert local_fingerprint([str(tmp_path)]) == before
    added = write(tmp_path / "b.mp4")
    assert local_fingerprint([str(tmp_path)]) != before
    added.unlink()
    os.utime(file, ns=(0, 0))
    assert local_fingerprint([str(tmp_path)]) != before
