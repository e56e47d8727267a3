"""A Ray cluster of several nodes on this machine, which can be lost like machines."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil

STORE_BYTES = 80 << 20
"""A node's object store; Ray takes no smaller one."""


@dataclass(frozen=True)
class Nodes:
    """The head, which runs no worker, and nodes of one worker each."""

    cluster: Any

    @property
    def address(self) -> str:
        """For RAY_ADDRESS."""
        return str(self.cluster.address)

    def add(self) -> None:
        self.cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)

    def lose(self, node: Any) -> None:
        """As a machine that fails: its workers go with it."""
        processes = _below(node)
        self.cluster.remove_node(node, allow_graceful=False)
        for it in processes:
            with suppress(psutil.NoSuchProcess):
                it.kill()
        psutil.wait_procs(processes)

    def replace_lost(self) -> int:
        """Nodes in place of those whose daemon has ended by itself; how many."""
        ended = [it for it in [*self.cluster.worker_nodes] if it.dead_processes()]
        for node in ended:
            self.lose(node)
            self.add()
        return len(ended)

    def workers(self) -> list[psutil.Process]:
        """Processes of the actors."""
        every = [it for node in self.cluster.worker_nodes for it in _below(node)]
        return [it for it in every if _command(it)[:1] and _command(it)[0].startswith("ray::")]

    def store(self) -> Any:
        """What the object stores of all nodes hold, and ever held: Ray's `ObjectStoreStats`."""
        from ray._private import internal_api

        state = internal_api.get_state_from_address(self.address)
        return internal_api.get_memory_info_reply(state).store_stats


@contextmanager
def ray_nodes(count: int) -> Iterator[Nodes]:
    """The cluster for the length of the block; RAY_ADDRESS names it to processes started there."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    nodes = Nodes(Cluster(initialize_head=True, head_node_args=head))
    try:
        for _ in range(count):
            nodes.add()
        os.environ["RAY_ADDRESS"] = nodes.address
        yield nodes
    finally:
        os.environ.pop("RAY_ADDRESS", None)
        nodes.cluster.shutdown()


def _below(node: Any) -> list[psutil.Process]:
    (raylet,) = node.all_processes["raylet"]
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(raylet.process.pid).children(recursive=True)
    return []


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []
