"""How long work tells where it stands, whoever listens."""

from typing import Protocol


class Progress(Protocol):
    """Listens to a stage: a line in a terminal, log lines in Dagster, silence in a test."""

    def say(self, message: str) -> None:
        """A fact worth a line of its own."""

    def doing(self, what: str) -> None:
        """What is being done from now on, such as `loading the VAE`.

        Said at once, and again with the time it has taken wherever nothing else is said.
        """

    def update(self, done: int, total: int, unit: str, **figures: float) -> None:
        """`done` of `total` units are finished; `figures` hold, such as `loss=0.12`."""


class Silent:
    """Listens to nothing."""

    def say(self, message: str) -> None:
        return

    def doing(self, what: str) -> None:
        return

    def update(self, done: int, total: int, unit: str, **figures: float) -> None:
        return
