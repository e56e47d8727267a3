"""The manifest of source videos: one row a file."""

from pathlib import Path

import pyarrow as pa
from pydantic import BaseModel, ConfigDict
from upath import UPath

from exvideo.manifest import Manifest, read_manifest, write_manifest


class SourceVideo(BaseModel):
    """A video file, whole or one piece of a longer video."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    video_id: str
    """One source video; its pieces share it."""
    piece: int
    """Pieces k and k + 1 follow each other without a gap; a missing number is a gap."""
    path: str
    """Relative to the manifest's folder, or absolute, or a URL."""
    sha256: str
    size_bytes: int
    source: str
    licence_claimed: str
    """What the publisher says, not what we vouch for."""
    caption: str = ""
    """What it shows, in words; empty where nobody said it."""
    held_out: bool | None = None
    """Whether the video's clips are kept from training; None leaves it to chance."""


SCHEMA = pa.schema(
    [
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("piece", pa.int32(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("licence_claimed", pa.string(), nullable=False),
        pa.field("caption", pa.string(), nullable=False),
        pa.field("held_out", pa.bool_()),
    ]
)


def write_source_videos(folder: UPath, videos: list[SourceVideo]) -> Manifest:
    """Write the manifest, sorted by video and piece."""
    ordered = sorted(videos, key=lambda video: (video.video_id, video.piece))
    return write_manifest(folder, ordered, SCHEMA)


def read_source_videos(path: UPath) -> list[SourceVideo]:
    """The rows of a manifest."""
    return read_manifest(path, SourceVideo)


def locate(folder: UPath, path: str) -> UPath:
    """Where a row's file lies; `folder` is the manifest's."""
    if "://" in path or Path(path).is_absolute():
        return UPath(path)
    return folder / path
