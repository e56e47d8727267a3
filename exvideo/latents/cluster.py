"""Ray on this machine for the length of a block, or the cluster that RAY_ADDRESS names.

On a cluster every node needs this package's environment and reach to the data root; Ray's own
variables (RAY_AUTH_MODE and the token with it) decide how it lets us in.
"""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

OBJECT_STORE_BYTES = 100 << 20
"""Only receipts pass through Ray; by default it would claim a third of the memory."""


END_S = 10.0
"""What Ray's processes may take to end after they were told."""


def joins_cluster() -> bool:
    """Whether Ray runs elsewhere."""
    return bool(os.environ.get("RAY_ADDRESS"))


@contextmanager
def ray_cluster(num_cpus: int) -> Iterator[None]:
    """Connect to Ray for the length of the block.

    `num_cpus` is what a local cluster offers its workers, however many cores there are. It
    listens on the loopback interface only, and no process of it outlives the block.
    """
    if joins_cluster():
        with _connected(address=os.environ["RAY_ADDRESS"]):
            yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Read when Ray is imported; without it, Ray takes the loopback address for a mistake.
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    us = psutil.Process()
    others = set(us.children(recursive=True))
    # Below the folder lie sockets, whose paths may have 107 characters and no more.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        local = {
            "address": "local",  # never somebody else's cluster on the same machine
            "num_cpus": num_cpus,
            "object_store_memory": OBJECT_STORE_BYTES,
            "include_dashboard": False,
            "_node_ip_address": "127.0.0.1",
            "_temp_dir": folder,
        }
        started: set[psutil.Process] = set()
        try:
            with _connected(**local):
                try:
                    yield
                finally:
                    started = set(us.children(recursive=True)) - others
        finally:
            _, lingering = psutil.wait_procs(started, timeout=END_S)
            for process in lingering:
                process.kill()


@contextmanager
def _connected(**where: Any) -> Iterator[None]:
    import ray

    ray.init(**where, logging_level=logging.ERROR, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()
