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


def pytest_itemcollected(item: pytest.Item) -> None:
    """Each file's tests run in one worker, and so do all of `operation`, who share a road."""
    item.add_marker(pytest.mark.xdist_group(_place(item)[1]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> tuple[int, str]:
    """The rank of a test's folder, and its group."""
    file = item.path.relative_to(TESTS)
    folder = file.parts[0]
    rank = LONG.index(folder) if folder in LONG else len(LONG)
    return rank, folder if folder == "operation" else str(file)
