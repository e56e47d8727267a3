"""What a format does here: write the clips, read one, read all, feed the ranks of a training."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from benchmarks.loader.clips import NoiseClips
from benchmarks.loader.formats import MODULES

WORKERS = 2
"""Loader processes of each of two ranks."""


@dataclass(frozen=True)
class Place:
    """Where a format's files lie, as local path or s3:// URL, and where it may keep copies."""

    url: str
    cache: Path

    @property
    def remote(self) -> bool:
        return self.url.startswith("s3://")


@dataclass(frozen=True)
class Share:
    """A rank, and how many clips all ranks together show in a step."""

    rank: int
    ranks: int
    clips: int

    @property
    def own(self) -> int:
        """Clips of a step that this rank shows."""
        return self.clips // self.ranks


Reader = Callable[[int], np.ndarray]
"""Reads all that is stored of the clip with this number; returns its latents."""

Feed = tuple[Iterable[list[int]], Callable[[], Any]]
"""The numbers of the clips of a rank's micro-batches, and what tells the state to resume from."""


class Format(Protocol):
    """Each used as its documentation says, with its own defaults where none is named."""

    NAME: str
    READERS: dict[str, Callable[[Place], Reader]]
    """How one clip is read, with nothing opened yet; the first is the usual way."""
    REMOTE: str
    """How a store is read; empty where the format reads local files alone."""
    RESUMES: bool
    """Whether it has a state to resume from."""

    @staticmethod
    def write(folder: Path, clips: NoiseClips) -> None:
        """Into an empty folder."""

    @staticmethod
    def scan(place: Place) -> Iterator[np.ndarray]:
        """The latents of all clips, in the quickest order, in this process."""

    @staticmethod
    def feed(folder: Path, share: Share, state: Any) -> Feed:
        """One rank's clips, shuffled, from the start or from a state."""

    @staticmethod
    def states(saved: list[Any], ranks: int, folder: Path) -> list[Any]:
        """What each of `ranks` ranks resumes from, of what the ranks before have saved."""


def installed() -> tuple[list[Format], list[str]]:
    """The formats whose packages are here, and a line about each that is left out."""
    found, lines = [], []
    for module in MODULES:
        try:
            found.append(cast(Format, import_module(f"benchmarks.loader.formats.{module}")))
        except ImportError as error:
            lines.append(f"{module} is left out: {error}")
    return found, lines
