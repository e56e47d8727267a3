"""OpenSoraPlan from the hub: split archives of 64-frame pieces, extracted while they arrive.

The parts of an archive are cuts through one gzip stream, so they are read in order. What has
been extracted is recorded with the place in the stream, where a later call goes on.
"""

import base64
import hashlib
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict
from upath import UPath

from exvideo.config import OpenSoraPlanSource
from exvideo.errors import InputError
from exvideo.progress import Progress
from exvideo.receipt import write_atomically
from exvideo.sources.annotations import captions, key_of
from exvideo.sources.hub_parts import Hub, HubParts
from exvideo.sources.manifest import SourceVideo
from exvideo.sources.resumable_gzip import GzipState, ResumableGzip

LICENCE = "MIT on the hub; CC0 its authors say"

PIECE = re.compile(r"(?P<stem>.+)_(?P<number>\d{3,})\.mp4")

MAX_MEMBER_BYTES = 1 << 30
"""A piece has a few megabytes: what claims far more is not read into memory."""


class _Record(BaseModel):
    """How far an archive has been extracted; everything before `next_member` is in `videos`."""

    model_config = ConfigDict(extra="forbid")

    next_member: int = 0
    """Its header's position in the decompressed archive."""
    position: int = 0
    output_position: int = 0
    window: str = ""
    bits: int = 0
    byte: int = 0
    videos: list[SourceVideo] = []
    refused: dict[str, str] = {}
    """Members that were not extracted, and why."""
    complete: bool = False

    def state(self) -> GzipState | None:
        if not self.window:
            return None
        window = base64.b64decode(self.window)
        return GzipState(self.position, self.output_position, window, self.bits, self.byte)

    def remember(self, state: GzipState, next_member: int) -> None:
        self.next_member = next_member
        self.position, self.output_position = state.position, state.output_position
        self.window = base64.b64encode(state.window).decode()
        self.bits, self.byte = state.bits, state.byte


def collect_open_sora_plan(
    source: OpenSoraPlanSource, folder: UPath, scratch: Path, progress: Progress
) -> list[SourceVideo]:
    """Extract every archive's pieces into `folder`; finished archives are not fetched again.

    Needs room for one part of an archive in `scratch`. Raises `InputError` where the hub does
    not give a part, or one that its digest does not fit.
    """
    # Read when called: the library itself reads its environment only when it is imported.
    hub = Hub(source.repo_id, source.revision, os.environ.get("HF_ENDPOINT"))
    videos: list[SourceVideo] = []
    for archive in source.archives:
        store = folder / "archives" / f"{archive}.json"
        record = _Record()
        if store.exists():
            record = _Record.model_validate_json(store.read_bytes())
        if not record.complete:
            parts = HubParts(hub, hub.archive_parts(archive), scratch)
            _extract(archive, parts, folder, store, record, progress)
        for name, reason in record.refused.items():
            progress.say(f"{archive}: {name!r} is left out: {reason}")
        videos += record.videos
    for name in source.annotations:
        videos = _captioned(videos, name, hub, scratch, progress)
    return videos


def _captioned(
    videos: list[SourceVideo], name: str, hub: Hub, scratch: Path, progress: Progress
) -> list[SourceVideo]:
    """With the captions of an annotation file, where they have none yet."""
    progress.doing(f"reading {name}")
    (part,) = hub.archive_parts(name)
    file = hub.fetch(part, scratch)  # and stays there, as another run reads it again
    lacking = {key_of(video.path): place for place, video in enumerate(videos) if not video.caption}
    videos, empty = list(videos), 0
    for key, caption in captions(file):
        place = lacking.get(key)
        if place is None:
            continue
        empty += not caption
        videos[place] = videos[place].model_copy(update={"caption": caption})
    without = sum(not video.caption for video in videos)
    progress.say(
        f"{name}: {len(lacking) - without} of {len(lacking)} pieces get their caption; of the "
        f"others, {empty} are listed with an empty one"
    )
    return videos


def _extract(
    archive: str,
    parts: HubParts,
    folder: UPath,
    store: UPath,
    record: _Record,
    progress: Progress,
) -> None:
    stream = ResumableGzip(parts.read, record.state())
    stream.seek(record.next_member)
    recorded = parts.part_at(record.position)
    for member, tar, state in _members(archive, stream):
        if state is not None and parts.part_at(state.position) > recorded:
            # The first place in a new part from which reading can go on: from here, no earlier
            # part is needed any more.
            record.remember(state, member.offset)
            _write(store, record)
            recorded = parts.part_at(state.position)
        _take(archive.partition(".")[0], tar, member, folder, record)
        done = state.position if state else 0
        progress.update(done // 10**6, parts.size // 10**6, "MB", pieces=len(record.videos))
    record.complete = True
    record.window = ""
    _write(store, record)
    parts.drop()


def _members(
    archive: str, stream: ResumableGzip
) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile, GzipState | None]]:
    """Each member, and the last place before it from which decompression can go on."""
    try:
        before = stream.state
        tar = tarfile.open(fileobj=stream, mode="r:")  # noqa: SIM115
        while (member := tar.next()) is not None:
            yield member, tar, before
            # Else the list of all members grows with the archive.
            tar.members = []  # type: ignore[attr-defined]
            before = stream.state
    except tarfile.TarError as error:
        raise InputError(f"{archive}: no tar archive at byte {stream.tell()}: {error}") from error
    # tarfile takes a broken header for the end.
    while rest := stream.read(1 << 20):
        if rest.strip(b"\0"):
            raise InputError(f"{archive}: no tar header before byte {stream.tell()}")


def _take(
    source: str, tar: tarfile.TarFile, member: tarfile.TarInfo, folder: UPath, record: _Record
) -> None:
    """Write one member under its own name, or record why not."""
    if member.isdir():
        return
    inside = PurePosixPath(member.name)
    if inside.parts[:1] == (source,):
        inside = inside.relative_to(source)
    path = str("extracted" / (source / inside))
    if reason := _reason_against(member):
        record.refused[member.name] = reason
        return
    file = tar.extractfile(member)
    content = file.read() if file else b""
    write_atomically(folder / path, content)
    piece = PIECE.fullmatch(inside.name)
    record.videos.append(
        SourceVideo(
            video_id=str(source / inside.with_name(piece["stem"] if piece else inside.stem)),
            piece=int(piece["number"]) if piece else 0,
            path=path,
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            source=source,
            licence_claimed=LICENCE,
        )
    )


def _reason_against(member: tarfile.TarInfo) -> str | None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\0" in member.name or not path.parts:
        return "its name leads outside the folder"
    if not member.isreg() or member.issparse():
        return "it is no regular file"
    if path.suffix != ".mp4":
        return "it is no .mp4"
    if member.size > MAX_MEMBER_BYTES:
        return f"it claims {member.size} bytes"
    return None


def _write(store: UPath, record: _Record) -> None:
    write_atomically(store, record.model_dump_json().encode())
