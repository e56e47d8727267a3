"""How the suite shares the cores: files side by side, the long road first."""

import os

# Before torch is imported. Threads that spin while they wait would hold up those beside them.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.object_store import bucket, object_store, real_store  # noqa: F401 - fixtures
from tests.one_rank import ranks, trained_here  # noqa: F401 - fixtures

TESTS = Path(__file__).parent

LONG = ("operation", "training", "latents", "evaluation", "generation")
"""Folders that start real processes, or train: begun first, so that none is left at the end."""

RAY = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "of-the-tests-0123456789abcdef",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}
"""Ray reads these once a process, when it is imported, and takes no others for a later cluster."""


class OneFileOneWorker(LoadScopeScheduling):
    """Each file's tests run in one worker, and so do all of `operation`, who share a road."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        shared = f"{TESTS.name}/operation/"
        return shared if file.startswith(shared) else file


def pytest_configure() -> None:
    """Tests know nobody's cluster, store or data root, whatever the shell names."""
    for name in [*os.environ]:
        if name.startswith(("ALERT_", "AWS_", "DAGSTER_", "EXVIDEO_", "MLFLOW_", "RAY_")):
            del os.environ[name]
    os.environ.update(RAY)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneFileOneWorker:
    return OneFileOneWorker(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first."""

    def rank(item: pytest.Item) -> int:
        folder = item.path.relative_to(TESTS).parts[0]
        return LONG.index(folder) if folder in LONG else len(LONG)

    items.sort(key=rank)
