"""What has been decoded and scored once, by content: verdicts are not among it."""

import json
from collections.abc import Sequence
from typing import Any

from upath import UPath

from exvideo.clips.filters.filter import Filter
from exvideo.clips.manifest import Clip
from exvideo.config import ClipsConfig
from exvideo.receipt import digest_of, write_atomically
from exvideo.sources.manifest import SourceVideo

VERSION = 3
"""Raised by hand when the same frames give other candidates."""

DECIDES = {
    "num_frames",
    "height",
    "width",
    "fps",
    "assumed_fps",
    "scene_threshold",
    "scene_detector",
}
"""The settings that scores depend on."""


def scores_depend_on(config: ClipsConfig, filters: Sequence[Filter]) -> list[Any]:
    """All that decides a video's scores beside its content."""
    versions = [[found.name, found.version] for found in filters]
    decides = [VERSION, config.model_dump(include=DECIDES), versions]
    return [*decides, [str(shape) for shape in config.buckets]] if config.buckets else decides


class ScoredVideos:
    """A folder with a file for each video's candidates."""

    def __init__(self, folder: UPath, config: ClipsConfig, filters: Sequence[Filter]) -> None:
        self._depends_on = scores_depend_on(config, filters)
        self._folder = folder
        # One listing, as on an object store a question for each file would take minutes.
        self._known = {path.name for path in folder.iterdir()} if folder.exists() else set()

    def recall(self, pieces: list[SourceVideo]) -> list[Clip] | None:
        """A video's candidates where they are known; it may have moved or changed its name."""
        name = self._name(pieces)
        if name not in self._known:
            return None
        paths = {piece.sha256: piece.path for piece in pieces}
        rows = json.loads((self._folder / name).read_bytes())
        for row in rows:
            row["video_id"], row["source"] = pieces[0].video_id, pieces[0].source
            for piece in row["pieces"]:
                piece["path"] = paths[piece["sha256"]]
        return [Clip.model_validate(row) for row in rows]

    def remember(self, pieces: list[SourceVideo], clips: list[Clip]) -> None:
        rows = [clip.model_dump() for clip in clips]
        write_atomically(self._folder / self._name(pieces), json.dumps(rows).encode())

    def _name(self, pieces: list[SourceVideo]) -> str:
        content = [[piece.piece, piece.sha256] for piece in pieces]
        return f"{digest_of([content, self._depends_on])[:32]}.json"
