"""Ray lets in whom it should, and nobody from outside this machine unless asked."""

import os
import subprocess
import sys
from pathlib import Path

from tests.somebody_elses_ray import cluster_elsewhere

JOIN = """
from exvideo.ray_cluster import ray_cluster
with ray_cluster(num_cpus=1):
    print("joined")
"""

LISTENERS = """
import psutil
from exvideo.ray_cluster import ray_cluster
with ray_cluster(num_cpus=1):
    for process in psutil.Process().children(recursive=True):
        for it in process.net_connections("inet"):
            if it.status == psutil.CONN_LISTEN:
                print(it.laddr.ip)
"""


def alone(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run in a process that knows of Ray only what `environment` says."""
    nobodys = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.run(
        [sys.executable, "-c", program],
        env=nobodys | environment,
        capture_output=True,
        text=True,
    )


def test_a_local_ray_listens_on_the_loopback_interface_only(tmp_path: Path) -> None:
    addresses = set(alone(LISTENERS, HOME=str(tmp_path)).stdout.split())
    assert addresses
    assert addresses <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}


def test_a_cluster_lets_in_whoever_has_its_token_and_tells_others_what_they_lack(
    tmp_path: Path,
) -> None:
    token = os.environ["RAY_AUTH_TOKEN"]
    with cluster_elsewhere() as ray:
        own = {"HOME": str(tmp_path), "RAY_ADDRESS": ray.address, "RAY_AUTH_MODE": "token"}
        own["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        known = alone(JOIN, RAY_AUTH_TOKEN=token, **own)
        guessed = alone(JOIN, RAY_AUTH_TOKEN="guessed", **own)
        none = alone(JOIN, **own)
    assert known.stdout == "joined\n"
    for refused in (guessed, none):
        assert f"cluster at RAY_ADDRESS={ray.address} does not let" in refused.stderr
