"""What a training has used, over all attempts at it; kept in its folder."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, TypeAdapter

from exvideo.training.checkpoint_copies import SPENDING
from exvideo.training.rank_progress import STEPS, Standing
from exvideo.usage import Meter, Usage

WRITE_S = 10.0
"""Between two writes: what a SIGKILL loses of an attempt's account, at most."""


class Attempt(BaseModel):
    """One start of the ranks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    started: datetime
    ranks: int
    device: str
    """Of the first rank: `cpu`, or a GPU by its name; empty where it did not come to tell."""
    usage: Usage


ATTEMPTS = TypeAdapter(list[Attempt])


class Spending:
    """This attempt's account, and those of before. As a block, it is written at the end.

    Args:
        folder: the training's.
        meter: of the program that starts the ranks.
    """

    def __init__(self, folder: Path, ranks: int, meter: Meter) -> None:
        self._path = folder / SPENDING
        self.earlier = (
            ATTEMPTS.validate_json(self._path.read_bytes()) if self._path.exists() else []
        )
        self.made_steps = False
        """Whether this attempt has made any."""
        self._started = datetime.now(UTC)
        self._ranks, self._meter = ranks, meter
        self._device = self.earlier[-1].device if self.earlier else ""
        self._began: float | None = None
        self._ended: float | None = None
        self._next = 0.0

    def begin(self) -> None:
        """The ranks run from now on."""
        self._began = time.monotonic()

    def end(self) -> None:
        """The ranks have ended, if not before."""
        self._ended = self._ended or time.monotonic()

    def heed(self, standing: Standing) -> None:
        """Take from what the ranks are at where they compute, and whether they have begun."""
        self._device = standing.device or self._device
        self.made_steps = self.made_steps or standing.doing == STEPS

    def total(self) -> Usage:
        """Of all attempts, until now."""
        return Usage.total(it.usage for it in [*self.earlier, self._attempt()])

    def look(self) -> None:
        """Write the account where that was long ago."""
        if time.monotonic() >= self._next:
            self._write()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self._write()

    def _attempt(self) -> Attempt:
        until = self._ended or time.monotonic()
        held = self._ranks * (until - (self._began or until)) / 3600
        on_gpus = self._device not in ("", "cpu")
        usage = self._meter.usage().model_copy(
            update={"rank_hours": held, "gpu_hours": held if on_gpus else 0.0}
        )
        return Attempt(started=self._started, ranks=self._ranks, device=self._device, usage=usage)

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_name(self._path.name + ".part")
        part.write_bytes(ATTEMPTS.dump_json([*self.earlier, self._attempt()], indent=2))
        part.replace(self._path)
        self._next = time.monotonic() + WRITE_S
