"""A checkpoint's files on the disk: their names, sizes and digests."""

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from exvideo.sources.file_digests import sha256_of

MANIFEST = "manifest.json"
"""Without it a checkpoint is none: it is written last."""


class CheckpointFile(BaseModel):
    """What one rank has written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[\w-][\w.-]*$")
    """Within the checkpoint's folder."""
    size: int
    """Bytes."""
    sha256: str


def listed_files(manifest: bytes) -> list[CheckpointFile]:
    """The files that a manifest lists. Raises `ValueError` where it is none."""
    document = json.loads(manifest)
    if not isinstance(document, dict) or not isinstance(document.get("files"), list):
        raise ValueError("it lists no files")
    return [CheckpointFile.model_validate(it) for it in document["files"]]


def file_fault(path: Path, file: CheckpointFile) -> str | None:
    """How a file differs from what was written; every byte of it is read."""
    if not path.is_file():
        return f"{path.name} is missing"
    if path.stat().st_size != file.size:
        return f"{path.name} has {path.stat().st_size} of {file.size} bytes"
    return None if sha256_of(path) == file.sha256 else f"{path.name} has other content than written"


def whole_checkpoints(checkpoints: Path) -> Iterator[Path]:
    """The folders of those that have a manifest, oldest first."""
    return (it.parent for it in sorted(checkpoints.glob(f"step-*/{MANIFEST}")))
