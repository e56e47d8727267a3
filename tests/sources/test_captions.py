import json
from pathlib import Path

import pytest
from upath import UPath

from exvideo.errors import InputError
from exvideo.progress import Silent
from exvideo.sources import annotations
from exvideo.sources.annotations import captions, key_of
from exvideo.sources.local import LocalVideos, collect_local


def collected(folder: Path) -> LocalVideos:
    return collect_local([str(folder / "videos")], UPath(folder / "out"), Silent())


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"video")
    return folder


def test_a_text_beside_a_video_is_its_caption(tmp_path: Path, videos: Path) -> None:
    (videos / "a.txt").write_text("A dog\n runs.\n")
    found = collected(tmp_path)
    assert found.videos[0].caption == "A dog runs."
    assert found.left_out == {str(videos / "a.txt"): "caption: of the video beside it"}


def test_an_object_beside_a_video_has_its_licence_too(tmp_path: Path, videos: Path) -> None:
    (videos / "a.json").write_text(json.dumps({"caption": "A dog.", "licence": "CC0", "id": 3}))
    (video,) = collected(tmp_path).videos
    assert (video.caption, video.licence_claimed) == ("A dog.", "CC0")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b'{"caption": 3}', "its caption is no text"),
        (b"[1]", "it is no JSON object"),
        (b'{"title": "a"}', "neither a caption nor a licence"),
        (b"\xff\xfe", "codec can't decode"),
        (b"{", "Expecting"),
    ],
)
def test_what_tells_nothing_is_left_out_by_name(
    tmp_path: Path, videos: Path, content: bytes, complaint: str
) -> None:
    (videos / "a.json").write_bytes(content)
    found = collected(tmp_path)
    assert found.videos[0].caption == ""
    assert found.left_out[str(videos / "a.json")].startswith("no caption: ")
    assert complaint in found.left_out[str(videos / "a.json")]


def written(folder: Path, content: object) -> Path:
    file = folder / "cap.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return file


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_annotations_are_read_however_the_file_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(annotations, "CHUNK", chunk)
    entries = [
        {"path": "/remote-home1/x/pexels/Air/big sky_000.mp4", "cap": ["A [sky], {wide}."]},
        {"path": "/remote-home1/x/pexels/Air/sea_001.mp4", "cap": []},
    ]
    found = list(captions(written(tmp_path, entries)))
    assert found == [
        ("pexels/Air/big_sky_000.mp4", "A [sky], {wide}."),
        ("pexels/Air/sea_001.mp4", ""),
    ]
    assert found[0][0] == key_of("extracted/pexels/Air/big sky_000.mp4")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"path": "a"}', "no JSON array"),
        ('[{"path": "a/b/c.mp4", "cap": ["x"]}, {"pa', "ends early"),
        ([{"file": "a"}], "entry 0 is no path with captions"),
        ([3], "entry 0 is no path with captions"),
    ],
)
def test_what_is_no_annotation_file_is_refused(
    tmp_path: Path, content: object, complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        list(captions(written(tmp_path, content)))
