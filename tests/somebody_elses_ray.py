"""A Ray cluster of another process, as `RAY_ADDRESS` names one."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

CLUSTER = """
import sys
from exvideo.ray_cluster import ray_cluster
with ray_cluster(num_cpus=2):
    import ray
    print(ray.get_runtime_context().gcs_address, flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Cluster:
    pid: int
    """Of the process that holds it."""
    address: str

    def join(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """RAY_ADDRESS names it."""
        monkeypatch.setenv("RAY_ADDRESS", self.address)


@contextmanager
def cluster_elsewhere() -> Iterator[Cluster]:
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield Cluster(process.pid, process.stdout.readline().strip())
    process.communicate()
