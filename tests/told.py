"""Somebody who listens to progress and remembers it."""


class Told:
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def doing(self, what: str) -> None:
        self.said.append(what)

    def update(self, done: int, total: int, unit: str, **figures: float) -> None:
        self.said.append(f"{done}/{total} {unit} {figures}")
