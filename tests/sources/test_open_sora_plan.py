import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from upath import UPath

from exvideo.config import OpenSoraPlanSource
from exvideo.errors import InputError
from exvideo.progress import Silent
from exvideo.sources.manifest import SourceVideo
from exvideo.sources.open_sora_plan import collect_open_sora_plan
from tests.sources.hub import REPO, REVISION, Hub, serve

PART_BYTES = 100_000


def piece(seed: int) -> bytes:
    return np.random.default_rng(seed).bytes(30_000)


def archive(members: Mapping[str, bytes | tarfile.TarInfo]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(raw.getvalue())


def parts(name: str, content: bytes) -> dict[str, bytes]:
    cuts = range(0, len(content), PART_BYTES)
    return {f"{name}.{k:02d}": content[at : at + PART_BYTES] for k, at in enumerate(cuts)}


PIECES = {f"pexels/Air/sky {k // 6}_{k % 6:03d}.mp4": piece(k) for k in range(24)}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    files = {**parts("pexels.tar.gz", archive(PIECES)), "README.md": b"no archive"}
    with serve(files) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.endpoint)
        yield served


class Listener(Silent):
    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def say(self, message: str) -> None:
        self._say(message)


def collect(
    folder: Path,
    *archives: str,
    annotations: tuple[str, ...] = (),
    say: Callable[[str], None] = print,
) -> list[SourceVideo]:
    scratch = folder / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    source = OpenSoraPlanSource(
        kind="open_sora_plan",
        repo_id=REPO,
        revision=REVISION,
        archives=archives or ("pexels.tar.gz",),
        annotations=annotations,
    )
    return collect_open_sora_plan(source, UPath(folder / "out"), scratch, Listener(say))


def test_pieces_get_their_captions_and_the_others_are_counted(hub: Hub, tmp_path: Path) -> None:
    first = "/remote-home1/dataset/data_split_tt/pexels/Air/sky_0_000.mp4"
    second = "/remote-home1/dataset/data_split_tt/pexels/Air/sky_0_001.mp4"
    entries = [{"path": first, "cap": ["Clouds."]}, {"path": second, "cap": []}]
    hub.files["cap.json"] = json.dumps(entries).encode()
    said: list[str] = []
    videos = collect(tmp_path, annotations=("cap.json",), say=said.append)
    assert [video.caption for video in videos[:3]] == ["Clouds.", "", ""]
    assert "1 of 24 pieces get their caption; of the others, 1 are listed with an empty" in said[0]


def contents(folder: Path, videos: list[SourceVideo]) -> dict[str, bytes]:
    return {video.path: (folder / "out" / video.path).read_bytes() for video in videos}


def test_all_pieces_arrive_whole_and_in_order(hub: Hub, tmp_path: Path) -> None:
    videos = collect(tmp_path)
    assert list(contents(tmp_path, videos).values()) == list(PIECES.values())
    first = videos[0]
    assert (first.video_id, first.piece, first.source) == ("pexels/Air/sky 0", 0, "pexels")
    assert [video.piece for video in videos if video.video_id == "pexels/Air/sky 3"] == [*range(6)]
    assert first.sha256 == hashlib.sha256(PIECES["pexels/Air/sky 0_000.mp4"]).hexdigest()


def test_a_finished_archive_is_never_fetched_again(hub: Hub, tmp_path: Path) -> None:
    before = collect(tmp_path)
    hub.sent.clear()
    assert collect(tmp_path) == before
    assert hub.sent == []


def test_no_part_stays_on_disk(hub: Hub, tmp_path: Path) -> None:
    collect(tmp_path)
    assert not list((tmp_path / "scratch").glob("pexels*"))


def test_a_damaged_part_is_refused_and_the_next_run_goes_on_after_the_finished_ones(
    hub: Hub, tmp_path: Path
) -> None:
    assert len(hub.files) > 6
    hub.damaged = {"pexels.tar.gz.04"}
    with pytest.raises(InputError, match=r"pexels\.tar\.gz\.04 .* arrived damaged"):
        collect(tmp_path)
    hub.damaged = set()
    hub.sent.clear()
    videos = collect(tmp_path)
    assert list(contents(tmp_path, videos).values()) == list(PIECES.values())
    assert "pexels.tar.gz.02" not in hub.sent
    assert "pexels.tar.gz.04" in hub.sent


def test_an_interruption_after_any_part_loses_nothing(hub: Hub, tmp_path: Path) -> None:
    archived = [name for name in hub.files if name.startswith("pexels")]
    for broken in archived:
        hub.down = {broken}
        with pytest.raises(InputError, match=broken):
            collect(tmp_path)
    hub.down = set()
    assert list(contents(tmp_path, collect(tmp_path)).values()) == list(PIECES.values())


def test_a_gap_in_the_parts_is_refused(hub: Hub, tmp_path: Path) -> None:
    del hub.files["pexels.tar.gz.01"]
    with pytest.raises(InputError, match="parts are missing"):
        collect(tmp_path)


def test_an_unknown_archive_is_named_with_what_there_is(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no mixkit\.tar\.gz; it holds README\.md"):
        collect(tmp_path, "mixkit.tar.gz")


def test_a_hub_out_of_reach_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda _: None)  # between its retries
    with pytest.raises(InputError, match="the hub does not list someone/pieces@01234567"):
        collect(tmp_path)


def hostile_link() -> tarfile.TarInfo:
    link = tarfile.TarInfo("pexels/Air/link_000.mp4")
    link.type = tarfile.SYMTYPE
    link.linkname = "/etc/passwd"
    return link


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("../evil_000.mp4", b"evil"),
        ("/evil_000.mp4", b"evil"),
        ("pexels/../../evil_000.mp4", b"evil"),
        ("pexels/Air/evil_000.sh", b"evil"),
        ("pexels/Air/link_000.mp4", hostile_link()),
    ],
)
def test_a_hostile_member_is_left_out_and_named(
    hub: Hub, tmp_path: Path, name: str, content: bytes | tarfile.TarInfo
) -> None:
    good = {"pexels/Air/sky_000.mp4": piece(0), "pexels/Air/sky_001.mp4": piece(1)}
    first, second = good.items()
    hub.files["pexels.tar.gz"] = archive(dict([first, (name, content), second]))
    said: list[str] = []

    videos = collect(tmp_path, say=said.append)
    assert list(contents(tmp_path, videos).values()) == list(good.values())
    assert len(said) == 1
    assert name in said[0]
    written = {path for path in tmp_path.rglob("*") if path.is_file() and "evil" in path.name}
    assert not written


def test_what_is_no_tar_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.files["pexels.tar.gz"] = gzip.compress(b"this is no tar archive" * 1000)
    with pytest.raises(InputError, match="no tar"):
        collect(tmp_path)


def test_a_broken_header_in_the_middle_is_no_silent_end(hub: Hub, tmp_path: Path) -> None:
    raw = bytearray(gzip.decompress(archive(PIECES)))
    second = raw.index(b"pexels/Air/sky 0_001.mp4")
    raw[second : second + 200] = bytes(range(200))
    hub.files["pexels.tar.gz"] = gzip.compress(bytes(raw))
    with pytest.raises(InputError, match="no tar header"):
        collect(tmp_path)
