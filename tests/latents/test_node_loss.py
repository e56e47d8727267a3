"""Two nodes of a Ray cluster write shards, and one is lost; both are on this machine."""

from contextlib import suppress
from pathlib import Path

import psutil

from exvideo.latents.workers import write_shards
from tests.latents.light_worker import LightWorker
from tests.latents.test_workers import Listener, plans, written
from tests.training.test_nodes import cluster  # noqa: F401 - a fixture


class AtUpdate(Listener):
    """Does something when so many clips are done."""

    def __init__(self, clips: int, do) -> None:
        super().__init__()
        self.clips, self.do = clips, do

    def update(self, done, total, unit, **figures):
        super().update(done, total, unit)
        if done == self.clips and self.do:
            do, self.do = self.do, None
            do()


def test_a_lost_node_costs_its_shard_a_retry(cluster, tmp_path: Path):  # noqa: F811
    # Each node's worker has done one of two clips when the node goes.
    waiting = [tmp_path / "waits-a", tmp_path / "waits-c"]
    for it in waiting:
        it.touch()

    def lose_a_node() -> None:
        (node,) = cluster.worker_nodes
        (raylet,) = node.all_processes["raylet"]
        workers = psutil.Process(raylet.process.pid).children(recursive=True)
        cluster.remove_node(node, allow_graceful=False)
        # Ray leaves them to find out by themselves; a machine that fails takes them with it.
        for it in workers:
            with suppress(psutil.NoSuchProcess):
                it.kill()
        psutil.wait_procs(workers)
        for it in waiting:
            it.unlink()

    listener = AtUpdate(2, lose_a_node)
    write_shards(plans("ab", "cd", "e"), LightWorker, str(tmp_path), 2, 0, listener)
    assert written(tmp_path) == {"shard-ab": "a b", "shard-cd": "c d", "shard-e": "e"}
    (said,) = listener.said
    assert "failed and is tried again" in said
    assert listener.updates[-1] == (5, 5, "clips")
