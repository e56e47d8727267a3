"""How the suite shares the cores: files side by side, the long road first."""

import os

# Before torch is imported. Threads that spin while they wait would hold up those beside them.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest

TESTS = Path(__file__).parent

LONG = ("operation", "training", "latents", "evaluation", "generation")
"""Folders that start real processes, or train: begun first, so that none is left at the end."""


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each file's tests run in one worker, and so do all of `operation`, who share a road."""

    def place(item: pytest.Item) -> tuple[int, str]:
        folder = item.path.relative_to(TESTS).parts[0]
        group = folder if folder == "operation" else str(item.path.relative_to(TESTS))
        return (LONG.index(folder) if folder in LONG else len(LONG), group)

    for item in items:
        item.add_marker(pytest.mark.xdist_group(place(item)[1]))
    items.sort(key=place)
