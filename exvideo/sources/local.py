"""The user's own videos: folders, files, globs, URLs and lists. They stay where they lie."""

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from upath import UPath

from exvideo.errors import InputError
from exvideo.progress import Progress
from exvideo.receipt import digest_of
from exvideo.sources.captions import SIDECARS, Told, sidecar_of, told_in
from exvideo.sources.entries import Entries, SourceFile, entries_below, local_file
from exvideo.sources.file_digests import FileDigests
from exvideo.sources.listed import ListedVideo, is_list, read_list
from exvideo.sources.manifest import SourceVideo
from exvideo.sources.parts import batches
from exvideo.sources.remote import is_url, remote_file, remote_files
from exvideo.video.content import holds_video
from exvideo.video.decoder import DecodeError, Decoder

SUFFIXES = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv"}
"""What claims to be a video, so that a broken one is listed, too; others are opened to see."""

OPENING_S = 60.0
"""What a file may take to be opened."""

SOURCE, LICENCE = "local", "the user's own"
"""Of a video of which nothing else is said."""


@dataclass(frozen=True)
class LocalVideos:
    """Every entry that was found: a video's row, or a reason why it is none."""

    videos: list[SourceVideo]
    left_out: dict[str, str]
    """Entries by their names, each with the reason: a kind, a colon and the particulars."""


@dataclass
class Found(Entries):
    """What `source.paths` leads to."""

    listed: dict[str, ListedVideo] = field(default_factory=dict)
    """By path, what a list says of files."""


def find_local(paths: Sequence[str]) -> Found:
    """Every file that may be a video, and why other entries can't be.

    Raises `InputError` where a path leads to nothing.
    """
    files: dict[str, SourceFile] = {}
    left_out: dict[str, str] = {}
    listed: dict[str, ListedVideo] = {}
    with Decoder(OPENING_S) as decoder:
        for text in batches(paths):
            found, is_folder = _found(text)
            if is_folder:
                found = _videos_of(text, found, decoder)
            files |= {file.path: file for file in found.files}
            left_out |= found.left_out
            listed |= found.listed
    left_out = {path: reason for path, reason in left_out.items() if path not in files}
    return Found(sorted(files.values()), left_out, listed)


def claimed_videos(paths: Sequence[str]) -> set[str]:
    """Paths of what claims to be a video by its ending or by being named; nothing is opened."""
    claimed = set()
    for text in batches(paths):
        found, is_folder = _found(text)
        for file in found.files:
            if not is_folder or Path(file.path).suffix.lower() in SUFFIXES:
                claimed.add(file.path)
    return claimed


def local_fingerprint(paths: Sequence[str]) -> str:
    """Changes with the listing: names, sizes and versions, also of lists and of captions."""
    listing: list[object] = []
    for text in batches(paths):
        found, is_folder = _found(text)
        listing += found.files
        if not is_folder:
            # What lies beside the files of a folder is among them.
            listing += _beside(found.files)
            listing += found.listed.values()
    return digest_of(listing)


def collect_local(paths: Sequence[str], folder: UPath, progress: Progress) -> LocalVideos:
    """List the videos with their digests, which `folder` remembers for unchanged files."""
    progress.doing("finding videos")
    found = find_local(paths)
    digests = FileDigests(folder / "digests.json")
    videos = []
    for done, file in enumerate(found.files, start=1):
        listed = found.listed.get(file.path, ListedVideo(file.path, Told(), ""))
        beside = _told_beside(file, found.left_out)
        video = SourceVideo(
            video_id=file.path,
            piece=0,
            path=file.path,
            sha256=digests.sha256_at(file.location, file.size, file.version),
            size_bytes=file.size,
            source=listed.source or SOURCE,
            licence_claimed=listed.told.licence or beside.licence or LICENCE,
            caption=listed.told.caption or beside.caption,
        )
        videos.append(video)
        progress.update(done, len(found.files), "files")
    digests.save()
    return LocalVideos(videos, found.left_out)


def _told_beside(video: SourceFile, left_out: dict[str, str]) -> Told:
    """What a file beside the video says of it; one that can't be read is left out."""
    sidecar = sidecar_of(video.location)
    try:
        return told_in(sidecar) if sidecar else Told()
    except ValueError as error:
        left_out[str(sidecar)] = f"no caption: {error}"
        return Told()


def _beside(videos: Sequence[SourceFile]) -> Iterator[SourceFile]:
    for video in videos:
        if sidecar := sidecar_of(video.location):
            name = str(sidecar)
            yield remote_file(name) if is_url(name) else local_file(Path(name))


def _videos_of(folder: str, found: Found, decoder: Decoder) -> Found:
    videos, left_out = [], dict(found.left_out)
    stems: set[str] = set()
    # What may tell of a video is judged when the videos are known.
    for file in sorted(found.files, key=lambda file: (_ending(file) in SIDECARS, file)):
        if _ending(file) in SIDECARS and _stem(file) in stems:
            left_out[file.path] = "caption: of the video beside it"
        elif reason := _reason_against(file, decoder):
            left_out[file.path] = reason
        else:
            videos.append(file)
            stems.add(_stem(file))
    if not videos:
        raise InputError(
            f"source.paths: the folder {folder} holds no video; {len(left_out)} other entries"
        )
    return Found(videos, left_out)


def _ending(file: SourceFile) -> str:
    return file.path[len(_stem(file)) :]


def _stem(file: SourceFile) -> str:
    """The path without its ending."""
    folder, slash, name = file.path.rpartition("/")
    stem, dot, _ = name.rpartition(".")
    return f"{folder}{slash}{stem}" if dot and stem else file.path


def _reason_against(file: SourceFile, decoder: Decoder) -> str | None:
    if _ending(file).lower() in SUFFIXES:
        return None
    try:
        (is_video,) = decoder.stream(holds_video, file.location)
    except DecodeError as error:
        return f"no video: {error.reason}"
    return None if is_video else "no video: a picture or text"


def _found(text: str) -> tuple[Found, bool]:
    """The files, and whether all below a folder are meant; what is named outright is a video."""
    if is_url(text):
        if is_list(text):
            return _listed(UPath(text)), False
        remote, is_folder = remote_files(text)
        return Found(remote.files), is_folder
    path = Path(text).expanduser()
    if path.is_file():
        if is_list(path.name):
            return _listed(UPath(path.resolve())), False
        return Found([local_file(path)]), False
    if path.is_dir():
        below = entries_below(path)
        return Found(below.files, below.left_out), True
    if glob.has_magic(str(path)):
        # Path.glob refuses absolute patterns.
        matches = (Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207
        files = {local_file(match) for match in matches if match.is_file()}
        if not files:
            raise InputError(f"source.paths: no file matches {path} below {Path.cwd()}")
        return Found(sorted(files)), False
    raise InputError(f"source.paths: there is no {path} (seen from {Path.cwd()})")


def _listed(list_file: UPath) -> Found:
    found = Found()
    for row in read_list(list_file):
        try:
            file = remote_file(row.path) if is_url(row.path) else local_file(Path(row.path))
        except OSError:
            found.left_out[row.path] = f"missing: {list_file} names it, but it is not there"
            continue
        found.files.append(file)
        found.listed[file.path] = row
    if not found.files:
        raise InputError(f"source.paths: none of the files in the list {list_file} is there")
    return found
