"""DeepSpeed's launcher of one node: its command, its environment, and the program itself.

The launcher is this module run as a program, so that no heavy import happens twice.
"""

import base64
import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Meeting:
    """Where the ranks meet."""

    devices: dict[str, list[int]]
    """Of every node, by its name, those that get a rank each."""
    address: str
    """Of the first node."""
    port: int


def launch_command(
    module: str, arguments: Sequence[str], meeting: Meeting, node: int = 0
) -> list[str]:
    """The command that runs `python -m module arguments` as this node's ranks.

    That is DeepSpeed's per-node launcher at once: its runner would only import everything once
    more to start the same.
    """
    world = base64.urlsafe_b64encode(json.dumps(meeting.devices).encode())
    where = [f"--master_addr={meeting.address}", f"--master_port={meeting.port}"]
    program = ["--module", "--no_local_rank", module, *arguments]
    launcher = [sys.executable, "-m", "exvideo.training.launcher", f"--node_rank={node}"]
    return [*launcher, f"--world_info={world.decode()}", *where, *program]


def launch_environment(
    ranks: int, environment: Mapping[str, str], interface: str | None
) -> dict[str, str]:
    """`environment`, with the node's cores shared out between its ranks.

    Args:
        interface: the network's, over which ranks without GPUs meet.
    """
    environment = dict(environment)
    threads = max(1, len(os.sched_getaffinity(0)) // ranks)
    environment.setdefault("OMP_NUM_THREADS", str(threads))
    # Threads that spin while they wait hold each other up wherever others compute, too: on two
    # cores under a load of ten a small step took 30 s, and 1.7 s without spinning.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    environment.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # equal sums every time
    if interface is not None:
        # Gloo would otherwise meet on the address that the host's name resolves to.
        environment.setdefault("GLOO_SOCKET_IFNAME", interface)
    return environment


def loopback() -> str | None:
    return "lo" if sys.platform.startswith("linux") else None


def free_port(address: str = "127.0.0.1") -> int:
    """A port of this node that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def main() -> None:
    from exvideo.training.distributed import import_deepspeed

    import_deepspeed()
    from deepspeed.launcher import launch

    launch.main()


if __name__ == "__main__":
    main()
