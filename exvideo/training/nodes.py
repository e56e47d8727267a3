"""Ranks on several nodes of a Ray cluster: on each an actor holds the lifeline of a launcher.

Whatever ends the actor (a cancelled run, the death of the stage's program, a node that has lost
the cluster) closes its lifeline, and with that the node's own supervisor ends its ranks. Ray Train
runs a training in a thread of such an actor instead, which no signal reaches: its ranks could not
write a checkpoint when they are told to stop.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from exvideo.config import Precision
from exvideo.errors import InputError
from exvideo.precision import Choice, choose_precision_apart
from exvideo.ray_cluster import ray_cluster
from exvideo.supervised import SupervisedProcess
from exvideo.supervisor import GRACE_S
from exvideo.training.job import TrainingJob
from exvideo.training.launcher import Meeting, free_port, launch_command, launch_environment

FORWARDED = ("AWS_", "AZURE_", "EXVIDEO_", "GOOGLE_", "HF_", "NCCL_", "OMP_", "TORCH_")
"""What begins so in the stage's environment is set for the ranks, too."""

RAYS_OWN = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
"""What Ray sets for an actor, as if that computed."""

NODES_S = 1800.0
"""What a cluster may take to have the nodes: autoscalers start machines for minutes."""

TOLD_S = 30.0
"""Between two lines about what a start waits for."""

LOST = 1
"""Exit code of ranks whose node is gone."""

SETTLE_S = 15.0
"""What the other nodes' ranks get to end by themselves when one node's have failed."""

LOG_LINES = 40


@dataclass(frozen=True)
class Place:
    """One node's share of the job."""

    address: str
    port: int
    devices: list[int]


class NodeRanks:
    """An actor: one node's ranks."""

    def __init__(self, ranks: int, log: Path) -> None:
        self._ranks = ranks
        self._log = log
        self._process: SupervisedProcess | None = None

    def place(self) -> Place:
        import ray

        address = ray.util.get_node_ip_address()
        gpus = [int(gpu) for gpu in ray.get_gpu_ids()]
        return Place(address, free_port(address), gpus or list(range(self._ranks)))

    def run(self, command: Sequence[str], forwarded: Mapping[str, str], address: str) -> int:
        """Start the ranks; returns their exit code, once they have ended."""
        own = {name: value for name, value in os.environ.items() if name not in RAYS_OWN}
        environment = launch_environment(self._ranks, {**own, **forwarded}, interface_of(address))
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            self._process = SupervisedProcess(command, environment, stdout=log, stderr=log)
        return self._process.wait()

    def end(self) -> int:
        """End them, with time for a checkpoint."""
        return 0 if self._process is None else self._process.end()

    def log(self) -> list[str]:
        """The last lines that they have printed."""
        return self._log.read_text(errors="replace").splitlines()[-LOG_LINES:]


class RanksOnNodes:
    """The job's ranks, by their nodes' actors."""

    def __init__(
        self, actors: Sequence[Any], names: Sequence[str], running: Sequence[Any], log: Path
    ) -> None:
        self._actors = actors
        self._names = names
        self._running = {event: node for node, event in enumerate(running)}
        self._log = log
        self._gone: list[str] = []

    def poll(self) -> int | None:
        """None while any runs and none has failed; then 0, or another exit code."""
        codes = self._ended(timeout=0)
        if any(codes):
            # The others soon end, too, because one has; which was the first can't be told.
            codes += self._ended(timeout=SETTLE_S)
            self._gather_logs()
            return LOST if self._gone else max(codes)
        return None if self._running else 0

    def _ended(self, timeout: float) -> list[int]:
        """The exit codes of nodes that have ended since."""
        import ray

        if not self._running:
            return []
        waited = list(self._running)
        ended, _ = ray.wait(waited, num_returns=len(waited), timeout=timeout)
        return [self._code_of(event, self._names[self._running.pop(event)]) for event in ended]

    def end(self) -> None:
        """End the ranks of all nodes at once; a node that does not answer has its own watchdog."""
        import ray

        endings = [actor.end.remote() for actor in self._actors]
        ray.wait(endings, num_returns=len(endings), timeout=GRACE_S + 10)

    def _code_of(self, event: Any, name: str) -> int:
        import ray

        try:
            return int(ray.get(event))
        except ray.exceptions.RayError as error:
            self._gone.append(f"{name} is gone: {str(error).strip().splitlines()[0]}")
            return LOST

    def _gather_logs(self) -> None:
        """All nodes' last lines in the job's log, which the reason is taken from."""
        import ray

        for name, actor in zip(self._names, self._actors, strict=True):
            try:
                lines = ray.get(actor.log.remote(), timeout=5)
            except (ray.exceptions.RayError, OSError) as error:
                lines = [f"its log can't be had: {type(error).__name__}"]
            self._write("\n".join([f"--- {name}", *lines]))
        self._write("\n".join(self._gone))

    def _write(self, text: str) -> None:
        with self._log.open("a") as log:
            log.write(text + "\n")


@contextmanager
def ranks_on_nodes(
    job: TrainingJob, nodes: int, module: str, arguments: Sequence[str], say: Callable[[str], None]
) -> Iterator[RanksOnNodes]:
    """The job's ranks on so many nodes of the cluster; none outlives the block.

    Raises `InputError` where the cluster has not had so many nodes for half an hour.
    """
    share = job.training.ranks // nodes
    job.log.write_text("")
    with ray_cluster(num_cpus=nodes):
        import ray

        with _placement(nodes, share, say) as placement:
            logs = [job.log.with_name(f"log.node-{node}.txt") for node in range(nodes)]
            actors = [
                _actor(placement, node, share).remote(share, log) for node, log in enumerate(logs)
            ]
            places: list[Place] = ray.get([actor.place.remote() for actor in actors])
            devices = {f"node-{node}": place.devices for node, place in enumerate(places)}
            meeting = Meeting(devices, places[0].address, places[0].port)
            forwarded = {it: os.environ[it] for it in os.environ if it.startswith(FORWARDED)}
            running = [
                actor.run.remote(
                    launch_command(module, arguments, meeting, node), forwarded, place.address
                )
                for node, (actor, place) in enumerate(zip(actors, places, strict=True))
            ]
            names = [f"node {node} ({place.address})" for node, place in enumerate(places)]
            ranks = RanksOnNodes(actors, names, running, job.log)
            try:
                yield ranks
            finally:
                ranks.end()


@contextmanager
def _placement(nodes: int, share: int, say: Callable[[str], None]) -> Iterator[Any]:
    """A bundle for `share` ranks on each of `nodes` nodes."""
    import ray
    from ray.util.placement_group import placement_group, remove_placement_group

    bundle = _resources(share)
    placement = placement_group([bundle] * nodes, strategy="STRICT_SPREAD")
    try:
        deadline = time.monotonic() + NODES_S
        while not placement.wait(TOLD_S):
            has = ray.cluster_resources()
            wanted = f"{nodes} nodes with {bundle} each; it has {has}"
            if time.monotonic() > deadline:
                raise InputError(
                    f"the Ray cluster has no {wanted}: lower training.nodes and training.ranks, "
                    "or add nodes; the training goes on with another number of both"
                )
            say(f"waiting for the Ray cluster to have {wanted}")
        yield placement
    finally:
        remove_placement_group(placement)


def _resources(ranks: int) -> dict[str, float]:
    """Of so many ranks: a GPU each where the cluster has any."""
    import ray

    gpus = {"GPU": float(ranks)} if ray.cluster_resources().get("GPU", 0) else {}
    return {"CPU": 1.0, **gpus}


def _actor(placement: Any, node: int, ranks: int) -> Any:
    import ray
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    resources = _resources(ranks)
    options = {
        "num_cpus": resources["CPU"],
        "num_gpus": resources.get("GPU", 0),
        "max_concurrency": 3,  # `end` and `log` while `wait` waits
        "scheduling_strategy": PlacementGroupSchedulingStrategy(placement, node),
    }
    return ray.remote(NodeRanks).options(**options)


def choose_nodes_precision(asked: Precision) -> Choice:
    """`choose_precision` for the cluster's devices, by one of its nodes."""
    with ray_cluster(num_cpus=1):
        import ray

        gpus = _resources(1).get("GPU", 0)
        apart: Any = ray.remote(num_cpus=1, num_gpus=gpus)(choose_precision_apart)
        choice: Choice = ray.get(apart.remote(asked))
    return choice


def interface_of(address: str) -> str | None:
    """The name of the network interface with this address."""
    for name, addresses in psutil.net_if_addrs().items():
        if any(it.address == address for it in addresses):
            return name
    return None
