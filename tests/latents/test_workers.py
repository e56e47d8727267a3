"""Ray workers share out the shards, and a failure costs no more than a shard's work."""

import socket

import psutil
import pytest
import torch
from botocore.exceptions import EndpointConnectionError

from exvideo.clips.manifest import Clip
from exvideo.errors import InputError
from exvideo.latents.plan import ShardPlan
from exvideo.latents.workers import write_shards
from exvideo.progress import Silent
from exvideo.ray_cluster import store_is_away
from tests.latents.light_worker import LightWorker
from tests.somebody_elses_ray import cluster_elsewhere


class Listener(Silent):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.updates: list[tuple[int, int, str]] = []

    def say(self, message):
        self.said.append(message)

    def update(self, done, total, unit, **figures):
        self.updates.append((done, total, unit))


@pytest.fixture(scope="module")
def somebody_elses_ray():
    with cluster_elsewhere() as ray:
        yield ray


@pytest.fixture
def cluster(somebody_elses_ray, monkeypatch):
    """RAY_ADDRESS names it."""
    somebody_elses_ray.join(monkeypatch)


def plans(*shards: str) -> list[ShardPlan]:
    size = {"num_frames": 2, "height": 8, "width": 8}
    clips = {
        it: Clip(clip_id=it, video_id=it, source="t", status="kept", pieces=[], **size)
        for it in "".join(shards)
    }
    return [ShardPlan(f"shard-{ids}", tuple(clips[it] for it in ids)) for ids in shards]


def write(folder, *shards: str, workers: int = 1) -> Listener:
    listener = Listener()
    write_shards(plans(*shards), LightWorker, str(folder), workers, 0, listener)
    return listener


def children() -> set[psutil.Process]:
    """Ray's daemons are among them; what daemons of other tests start is not."""
    return set(psutil.Process().children())


def written(folder) -> dict[str, str]:
    return {it.name: it.read_text() for it in folder.glob("shard-*")}


def test_a_local_ray_writes_every_shard_tells_of_every_clip_and_is_gone(tmp_path):
    before = children()
    listener = write(tmp_path, "ab", "c")
    assert written(tmp_path) == {"shard-ab": "a b", "shard-c": "c"}
    assert listener.updates == [(1, 3, "clips"), (2, 3, "clips"), (3, 3, "clips")]
    assert listener.said == []
    assert children() - before == set()


def test_an_address_at_which_nobody_answers_is_refused(tmp_path, monkeypatch):
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(InputError, match=r"no Ray cluster answers at RAY_ADDRESS=127\.0"):
            write(tmp_path, "a")


def test_a_killed_worker_costs_its_shards_retry(cluster, tmp_path):
    (tmp_path / "deadly-b").touch()
    listener = write(tmp_path, "ab", "cd", "e", workers=2)
    assert written(tmp_path) == {"shard-ab": "a b", "shard-cd": "c d", "shard-e": "e"}
    assert ["shard-ab failed and is tried again" in line for line in listener.said] == [True]
    assert listener.updates[-1] == (5, 5, "clips")


def test_storage_that_stays_away_ends_the_work_with_its_reason(cluster, tmp_path):
    (tmp_path / "unreachable-b").touch()
    with pytest.raises(RuntimeError, match=r"shard-ab failed, try 3(.|\n)*ConnectionError: at b"):
        write(tmp_path, "ab", "c")
    assert written(tmp_path) == {"shard-c": "c"}
    assert (tmp_path / "pauses").read_text() == "5 10 "


def test_an_object_store_that_is_away_is_no_fault_of_the_code():
    import ray  # not before a cluster's variables are set

    for cause, away in (
        (EndpointConnectionError(endpoint_url="http://store/shard-0.parquet"), True),
        (ZeroDivisionError("at a"), False),
    ):
        told = ray.exceptions.RayTaskError("write", "traceback", cause).as_instanceof_cause()
        assert store_is_away(told) == away


def test_a_fault_of_the_code_is_not_tried_again(cluster, tmp_path):
    (tmp_path / "broken-a").touch()
    with pytest.raises(RuntimeError, match=r"shard-ab failed, try 1(.|\n)*ZeroDivisionError: at a"):
        write(tmp_path, "ab", "c")


def test_workers_that_do_not_start_end_the_work(cluster, tmp_path):
    (tmp_path / "no-start").touch()
    with pytest.raises(RuntimeError, match="a worker's start failed, try 3"):
        write(tmp_path, "ab")


def test_nothing_to_write_starts_nothing(tmp_path):
    before = children()
    write(tmp_path)
    assert children() - before == set()


@pytest.mark.skipif(torch.cuda.is_available(), reason="has the GPUs that the test must lack")
def test_a_machine_without_gpus_says_so(tmp_path):
    with pytest.raises(InputError, match="gpus_per_worker is 1 and this machine has 0"):
        write_shards(plans("a"), LightWorker, str(tmp_path), 1, 1, Silent())
