"""The user's own videos: folders, files and globs. They are referenced where they lie."""

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from upath import UPath

from exvideo.errors import InputError
from exvideo.progress import Progress
from exvideo.receipt import digest_of
from exvideo.sources.entries import Entries, entries_below
from exvideo.sources.file_digests import FileDigests
from exvideo.sources.manifest import SourceVideo
from exvideo.video.content import holds_video
from exvideo.video.decoder import DecodeError, Decoder

SUFFIXES = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv"}
"""What claims to be a video, so that a broken one is listed, too; others are opened to see."""

OPENING_S = 60.0
"""What a file may take to be opened."""


@dataclass(frozen=True)
class LocalVideos:
    """Every entry that was found: a video's row, or a reason why it is none."""

    videos: list[SourceVideo]
    left_out: dict[str, str]
    """Entries by their names, each with the reason: a kind, a colon and the particulars."""


def find_local(paths: Sequence[str]) -> Entries:
    """Every file below `paths` that may be a video, and why other entries can't be.

    Raises `InputError` where a path leads to nothing.
    """
    files: set[Path] = set()
    left_out: dict[str, str] = {}
    with Decoder(OPENING_S) as decoder:
        for text in paths:
            found = _videos_of(Path(text).expanduser(), decoder)
            files.update(found.files)
            left_out |= found.left_out
    return Entries(sorted(files), {k: v for k, v in left_out.items() if Path(k) not in files})


def local_fingerprint(paths: Sequence[str]) -> str:
    """Changes with the listing: names, sizes and modification times."""
    listing = []
    for text in paths:
        for path in _found(Path(text).expanduser()).files:
            stat = path.stat()
            listing.append([str(path), stat.st_size, stat.st_mtime_ns])
    return digest_of(sorted(listing))


def collect_local(paths: Sequence[str], folder: UPath, progress: Progress) -> LocalVideos:
    """List the videos with their digests, which `folder` remembers for unchanged files."""
    progress.doing("finding videos")
    found = find_local(paths)
    digests = FileDigests(folder / "digests.json")
    videos = []
    for done, path in enumerate(found.files, start=1):
        video = SourceVideo(
            video_id=str(path),
            piece=0,
            path=str(path),
            sha256=digests.sha256(path),
            size_bytes=path.stat().st_size,
            source="local",
            licence_claimed="the user's own",
        )
        videos.append(video)
        progress.update(done, len(found.files), "files")
    digests.save()
    return LocalVideos(videos, found.left_out)


def _videos_of(path: Path, decoder: Decoder) -> Entries:
    found = _found(path)
    if not path.is_dir():
        return found  # what is named outright is meant
    videos, left_out = [], dict(found.left_out)
    for file in found.files:
        if reason := _reason_against(file, decoder):
            left_out[str(file)] = reason
        else:
            videos.append(file)
    if not videos:
        raise InputError(
            f"source.paths: the folder {path} holds no video; {len(left_out)} other entries"
        )
    return Entries(videos, left_out)


def _reason_against(file: Path, decoder: Decoder) -> str | None:
    if file.suffix.lower() in SUFFIXES:
        return None
    try:
        (is_video,) = decoder.stream(holds_video, file)
    except DecodeError as error:
        return f"no video: {error.reason}"
    return None if is_video else "no video: a picture or text"


def _found(path: Path) -> Entries:
    if path.is_file():
        return Entries([path.resolve()])
    if path.is_dir():
        return entries_below(path)
    if glob.has_magic(str(path)):
        # Path.glob refuses absolute patterns.
        matches = (Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207
        files = {match.resolve() for match in matches if match.is_file()}
        if not files:
            raise InputError(f"source.paths: no file matches {path} below {Path.cwd()}")
        return Entries(sorted(files))
    raise InputError(f"source.paths: there is no {path} (seen from {Path.cwd()})")
