"""A package that somebody has installed, with entry points."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exvideo.evaluation.offered import offered


@contextmanager
def installed(folder: Path, name: str, code: str, entry_points: str) -> Iterator[None]:
    """Within the block: a module with `code`, and the text of its entry_points.txt."""
    (folder / f"{name}.py").write_text(code)
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(entry_points)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        offered.cache_clear()
        yield
    offered.cache_clear()
    sys.modules.pop(name, None)
