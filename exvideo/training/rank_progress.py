"""What the ranks are at, in a file: they write where nobody watches, and the stage passes it on."""

import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from exvideo.progress import Progress

STEPS = "steps"
"""The unit of updates of the weights."""

INTERVAL_S = 1.0
"""Between two counts that are written: steps may be fast, and files may lie on a network."""


class Standing(BaseModel):
    """The newest thing that was told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    doing: str
    """What is being done; of a count its unit."""
    done: int = 0
    total: int = 0
    """0 where nothing is counted."""
    said: tuple[str, ...] = ()
    """All lines so far that are worth reading."""
    device: str = ""
    """Where the first rank computes: `cpu`, or a GPU by its name."""


class RankProgress:
    """Listens to a rank; of all ranks the first one writes."""

    def __init__(self, path: Path, writes: bool, device: str = "") -> None:
        self._path = path
        self._device = device
        self._writes = writes
        self._next = 0.0
        self._newest = Standing(doing="")

    def say(self, message: str) -> None:
        self._write(self._newest.model_copy(update={"said": (*self._newest.said, message)}))

    def doing(self, what: str) -> None:
        self._write(Standing(doing=what, said=self._newest.said))
        self._next = 0.0

    def update(self, done: int, total: int, unit: str, **figures: float) -> None:
        if done >= total or time.monotonic() >= self._next:
            self._write(Standing(doing=unit, done=done, total=total, said=self._newest.said))
            self._next = time.monotonic() + INTERVAL_S

    def _write(self, standing: Standing) -> None:
        self._newest = standing = standing.model_copy(update={"device": self._device})
        if self._writes:
            part = self._path.with_name(self._path.name + ".part")
            part.write_text(standing.model_dump_json())
            part.replace(self._path)


def read_standing(path: Path) -> Standing | None:
    """The newest of `RankProgress`, None before there is one."""
    return Standing.model_validate_json(path.read_bytes()) if path.is_file() else None


def pass_on(standing: Standing, progress: Progress, figures: dict[str, float]) -> None:
    """Tell `progress` of a standing; `figures` are the newest of the steps."""
    if not standing.total:
        progress.doing(standing.doing)
    elif standing.doing == STEPS:
        progress.update(standing.done, standing.total, STEPS, **figures)
    else:
        progress.update(standing.done, standing.total, standing.doing)
