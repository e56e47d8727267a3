"""How long work tells where it stands, whoever listens."""

from typing import Protocol


class Progress(Protocol):
    """Listens to a stage: a bar in a terminal, log lines in Dagster, silence in a test."""

    def say(self, message: str) -> None:
        """A fact worth a line of its own."""

    def update(self, done: int, total: int, unit: str, **figures: float) -> None:
        """`done` of `total` units are finished; `figures` hold, such as `loss=0.12`."""


class Silent:
    """Listens to nothing."""

    def say(self, message: str) -> None:
        return

    def update(self, done: int, total: int, unit: str, **figures: float) -> None:
        return
