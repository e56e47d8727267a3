"""A split archive on the hub, read as one file with a single part on disk at a time."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from httpx2 import HTTPError  # the base of what huggingface_hub raises
from huggingface_hub import HfApi
from huggingface_hub.hf_api import RepoFile

from exvideo.errors import InputError
from exvideo.sources.file_digests import sha256_of


@dataclass(frozen=True)
class Part:
    """One file of an archive, as the hub lists it."""

    name: str
    size: int
    sha256: str


class Hub:
    """A data set's repository at one commit."""

    def __init__(self, repo_id: str, revision: str, endpoint: str | None = None) -> None:
        """`endpoint` is the hub's address; by default the environment's HF_ENDPOINT."""
        self._api = HfApi(endpoint=endpoint)
        self._repo_id = repo_id
        self._revision = revision

    def __str__(self) -> str:
        return f"{self._repo_id}@{self._revision[:8]}"

    def archive_parts(self, archive: str) -> list[Part]:
        """The files `archive`, or `archive.00`, `archive.01` and so on, in order.

        Raises `InputError` where the hub does not have them all, each with a digest.
        """
        try:
            tree = self._api.list_repo_tree(
                self._repo_id, revision=self._revision, repo_type="dataset"
            )
            listed = {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}
        except (HTTPError, OSError) as error:
            raise InputError(f"the hub does not list {self}: {error}") from error
        numbered = re.compile(re.escape(archive) + r"\.(\d+)")
        numbers = {int(m[1]): n for n in listed if (m := numbered.fullmatch(n))}
        names = [archive] if archive in listed else [numbers[k] for k in sorted(numbers)]
        if not names:
            raise InputError(f"{self} holds no {archive}; it holds {', '.join(sorted(listed))}")
        if archive not in listed and sorted(numbers) != list(range(len(numbers))):
            raise InputError(f"{self}: parts are missing between {names[0]} and {names[-1]}")
        return [_part(listed[name]) for name in names]

    def fetch(self, part: Part, scratch: Path) -> Path:
        """The part as a file in `scratch`, checked; one that lies there already is checked too.

        Raises `InputError` where there is too little room, the hub does not give it, or its
        content is not what the hub lists; a damaged file is removed.
        """
        path = scratch / part.name
        room = shutil.disk_usage(scratch).free
        if not path.exists() and room < part.size:
            raise InputError(
                f"{part.name} has {part.size / 1e9:.1f} GB, {scratch} has {room / 1e9:.1f} GB "
                "free: free some space or point storage.scratch elsewhere"
            )
        try:
            self._api.hf_hub_download(
                self._repo_id,
                part.name,
                repo_type="dataset",
                revision=self._revision,
                local_dir=scratch,
            )
        except (HTTPError, OSError) as error:
            raise InputError(f"{part.name} of {self} cannot be fetched: {error}") from error
        arrived = sha256_of(path)
        if arrived != part.sha256:
            path.unlink()
            raise InputError(
                f"{part.name} of {self} arrived damaged: its SHA-256 is {arrived}, the hub lists "
                f"{part.sha256}. It is removed; run again to fetch it anew"
            )
        return path


class HubParts:
    """An archive's bytes from any position on, forward; no part is used before it is checked."""

    def __init__(self, hub: Hub, parts: list[Part], scratch: Path) -> None:
        self._hub = hub
        self._parts = parts
        self._scratch = scratch
        self._current: tuple[int, Path] | None = None
        self.size = sum(part.size for part in parts)

    def part_at(self, position: int) -> int:
        """The number of the part that holds the byte at `position`."""
        for index, part in enumerate(self._parts):
            if position < part.size:
                return index
            position -= part.size
        return len(self._parts)

    def read(self, position: int, count: int) -> bytes:
        """Up to `count` bytes from `position`, within one part; nothing at the end.

        Raises `InputError` where a part cannot be fetched or is damaged.
        """
        index = self.part_at(position)
        if index == len(self._parts):
            return b""
        if self._current is None or self._current[0] != index:
            self.drop()
            self._current = index, self._hub.fetch(self._parts[index], self._scratch)
        with self._current[1].open("rb") as file:
            file.seek(position - sum(part.size for part in self._parts[:index]))
            return file.read(count)

    def drop(self) -> None:
        """Remove the part on disk."""
        if self._current is not None:
            self._current[1].unlink(missing_ok=True)
            self._current = None


def _part(file: RepoFile) -> Part:
    if file.lfs is None:
        raise InputError(f"the hub lists no SHA-256 for {file.path}")
    return Part(file.path, file.size, file.lfs.sha256)
