"""The user's own videos: folders, files and globs. They are referenced where they lie."""

import glob
from collections.abc import Sequence
from pathlib import Path

from upath import UPath

from exvideo.errors import InputError
from exvideo.progress import Progress
from exvideo.receipt import digest_of
from exvideo.sources.file_digests import FileDigests
from exvideo.sources.manifest import SourceVideo

SUFFIXES = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv"}
"""What counts as a video in a folder; a file named outright, or by a glob, always does."""


def find_local(paths: Sequence[str]) -> list[Path]:
    """Every video below `paths`, absolute, sorted, each once.

    Raises `InputError` where a path leads to nothing.
    """
    found: set[Path] = set()
    for text in paths:
        found.update(_find(Path(text).expanduser()))
    return sorted(found)


def local_fingerprint(paths: Sequence[str]) -> str:
    """Changes with the listing: names, sizes and modification times."""
    listing = []
    for path in find_local(paths):
        stat = path.stat()
        listing.append([str(path), stat.st_size, stat.st_mtime_ns])
    return digest_of(listing)


def collect_local(paths: Sequence[str], folder: UPath, progress: Progress) -> list[SourceVideo]:
    """List the videos with their digests, which `folder` remembers for unchanged files."""
    files = find_local(paths)
    digests = FileDigests(folder / "digests.json")
    videos = []
    for done, path in enumerate(files, start=1):
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
        progress.update(done, len(files), "files")
    digests.save()
    return videos


def _find(path: Path) -> list[Path]:
    if path.is_file():
        return [path.resolve()]
    if path.is_dir():
        inside = (file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
        videos = [file.resolve() for file in inside if file.is_file()]
        if not videos:
            known = " ".join(sorted(SUFFIXES))
            raise InputError(f"source.paths: the folder {path} holds no video ({known})")
        return videos
    if glob.has_magic(str(path)):
        # Path.glob refuses absolute patterns.
        matches = (Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207
        files = [match.resolve() for match in matches if match.is_file()]
        if not files:
            raise InputError(f"source.paths: no file matches {path} below {Path.cwd()}")
        return files
    raise InputError(f"source.paths: there is no {path} (seen from {Path.cwd()})")
