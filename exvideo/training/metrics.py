"""A training's rows of figures: one JSON object a line, appended while it runs."""

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]
"""`step` and the figures of that step; a row has either training's or validation's."""


def read_metrics(path: Path) -> list[Row]:
    """All whole rows of a file that may still grow."""
    if not path.is_file():
        return []
    lines = path.read_bytes().split(b"\n")
    return [json.loads(line) for line in lines[:-1]]


class MetricsLog:
    """Appends rows; opened at a step, it drops the rows of later steps, which will come again.

    The first rank `writes` them; what others know of earlier starts may be out of date.
    """

    def __init__(self, path: Path, step: int, writes: bool = True) -> None:
        self.rows = [row for row in read_metrics(path) if row["step"] <= step]
        self._path = path
        self._writes = writes
        if writes:
            part = path.with_name(path.name + ".part")
            part.write_text("".join(_line(row) for row in self.rows))
            part.replace(path)

    def write(self, row: Row) -> None:
        self.rows.append(row)
        if self._writes:
            with self._path.open("a") as file:
                file.write(_line(row))

    def has(self, step: int, figure: str) -> bool:
        return any(row["step"] == step and figure in row for row in self.rows)


def _line(row: Row) -> str:
    return json.dumps(row, allow_nan=False) + "\n"
