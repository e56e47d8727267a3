"""DeepSpeed's own launchers, started from a command line that names no heavy import twice.

python -m exvideo.training.launcher launch|runner ARGUMENT ...
"""

import base64
import json
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from exvideo.errors import InputError

MULTI_NODE_PORT = 29500
"""Nobody can look for a free port on another node."""


def launch_command(
    module: str, arguments: Sequence[str], ranks: int, hostfile: str | None = None
) -> list[str]:
    """The command that runs `python -m module arguments` as `ranks` processes a node.

    On one node that is DeepSpeed's per-node launcher at once: its runner would only import
    everything once more to start the same. With a hostfile the runner reaches the nodes.
    """
    here = [sys.executable, "-m", "exvideo.training.launcher"]
    program = ["--module", "--no_local_rank", module, *arguments]
    if hostfile is not None:
        if not Path(hostfile).is_file():
            raise InputError(f"training.hostfile: there is no file {hostfile}")
        nodes = [f"--hostfile={hostfile}", f"--num_gpus={ranks}"]
        return [*here, "runner", *nodes, f"--master_port={MULTI_NODE_PORT}", *program]
    world = base64.urlsafe_b64encode(json.dumps({"localhost": list(range(ranks))}).encode())
    meeting = ["--master_addr=127.0.0.1", f"--master_port={free_port()}"]
    return [*here, "launch", f"--world_info={world.decode()}", *meeting, *program]


def launch_environment(ranks: int, hostfile: str | None = None) -> dict[str, str]:
    """This process's environment, with the cores shared out between the ranks."""
    environment = dict(os.environ)
    threads = max(1, len(os.sched_getaffinity(0)) // ranks)
    environment.setdefault("OMP_NUM_THREADS", str(threads))
    # Threads that spin while they wait hold each other up wherever others compute, too: on two
    # cores under a load of ten a small step took 30 s, and 1.7 s without spinning.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if hostfile is None and sys.platform.startswith("linux"):
        # Gloo would otherwise meet on the address that the host's name resolves to.
        environment.setdefault("GLOO_SOCKET_IFNAME", "lo")
    return environment


def free_port() -> int:
    """A port on the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main() -> None:
    from exvideo.training.distributed import import_deepspeed

    launcher = sys.argv.pop(1)
    import_deepspeed()
    if launcher == "launch":
        from deepspeed.launcher import launch

        launch.main()
    else:
        from deepspeed.launcher import runner

        runner.main()


if __name__ == "__main__":
    main()
