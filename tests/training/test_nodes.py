"""A training on two nodes of a Ray cluster; both are on this machine."""

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch

from exvideo.errors import InputError
from exvideo.training.distributed import Ranks
from exvideo.training.shared_folder import check_shared
from tests.ports import free_port
from tests.training.stage import ROOT, StageRun
from tests.training.test_stage import PATIENCE_S, of_job, saved_step, until_step

STEPS = 14
SETTINGS = {
    "ranks": 2,
    "micro_batch_size": 1,
    "steps": STEPS,
    "log_every": 1,
    "checkpoint_every": 2,
    "validate_every": STEPS,
}

pytestmark = pytest.mark.timeout(4 * PATIENCE_S)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Two nodes of one CPU each; RAY_ADDRESS names them."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    from ray.cluster_utils import Cluster

    quiet = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=quiet)
    made.add_node(num_cpus=1, object_store_memory=80 << 20)
    monkeypatch.setenv("RAY_ADDRESS", made.address)
    yield made
    made.shutdown()


def losses(stage: StageRun) -> list[float]:
    return [row["loss"] for row in stage.rows() if "loss" in row]


def nobody_left(stage: StageRun) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while left := of_job(stage.root):
        assert time.monotonic() < deadline, [it.cmdline() for it in left]
        time.sleep(0.2)


def ranks_of(stage: StageRun) -> list[psutil.Process]:
    return [it for it in of_job(stage.root) if it.cmdline()[2:4] == ["-m", "pipelines.train_rank"]]


def test_a_training_on_two_nodes_survives_its_cancelling_its_killing_and_the_loss_of_a_node(
    tmp_path: Path, cluster, trained_here: None
) -> None:
    alone = StageRun(tmp_path / "alone", **{**SETTINGS, "ranks": 1})
    alone.run_here()

    stage = StageRun(tmp_path / "nodes", **SETTINGS, nodes=2)
    process = stage.start()
    until_step(stage, 2)
    assert len(ranks_of(stage)) == 2
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 128 + signal.SIGTERM
    assert of_job(stage.root) == []
    cancelled = saved_step(stage)
    assert 2 <= cancelled < STEPS

    process = stage.start()
    until_step(stage, cancelled + 2)
    process.kill()
    process.communicate()
    nobody_left(stage)

    process = stage.start()
    until_step(stage, saved_step(stage) + 1)
    cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)
    printed = process.communicate(timeout=PATIENCE_S)[0].decode()
    assert process.returncode == 1, printed
    assert "is gone" in printed
    nobody_left(stage)
    assert saved_step(stage) < STEPS

    stage.change("nodes: 2", "nodes: 1")
    stage.change("ranks: 2", "ranks: 1")
    stage.run_here()
    assert losses(stage) == pytest.approx(losses(alone), rel=1e-5)


def test_nodes_without_a_cluster_are_refused(tmp_path: Path) -> None:
    stage = StageRun(tmp_path / "root", **SETTINGS, nodes=2)
    process = stage.start(RAY_ADDRESS="")
    printed = process.communicate(timeout=PATIENCE_S)[0].decode()
    assert process.returncode == 2
    assert "name it in RAY_ADDRESS" in printed


def _look(rank: int, folder: Path, port: int, answers: list[str]) -> None:
    store = torch.distributed.TCPStore("127.0.0.1", port, 2, is_master=rank == 0)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    try:
        check_shared(folder, Ranks(rank, 2, torch.device("cpu")), patience_s=0.5)
        answers[rank] = "shared"
    except InputError as error:
        answers[rank] = str(error)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("shared", [True, False])
def test_ranks_that_write_to_different_folders_all_learn_it_before_training(
    tmp_path: Path, shared: bool
) -> None:
    folders = [tmp_path / "one", tmp_path / ("one" if shared else "other")]
    port = free_port()
    with torch.multiprocessing.Manager() as manager:
        answers = manager.list([None, None])
        context = torch.multiprocessing.get_context("spawn")
        looking = [
            context.Process(target=_look, args=(rank, folder, port, answers))
            for rank, folder in enumerate(folders)
        ]
        for process in looking:
            process.start()
        for process in looking:
            process.join(PATIENCE_S)
        for answer in answers:
            if shared:
                assert answer == "shared"
            else:
                assert socket.gethostname() in answer
                assert "storage.scratch" in answer
    assert list(folders[0].iterdir()) == []
