"""A source's parts are partitions: each is made alone, and only what failed is made again."""

import json
import logging
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import InProcessTestWorkspaceLoadTarget
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._daemon.backfill import execute_backfill_iteration
from dagster_graphql.test.utils import execute_dagster_graphql

from assets.source_parts import ARCHIVES
from dagster_project.batches import MOST, batches_have_come
from dagster_project.preset import PresetResource
from dagster_project.stages import Stages
from exvideo.config import Preset, load_preset
from exvideo.errors import InputError
from exvideo.progress import Silent
from exvideo.receipt import Receipt, stage_folder
from exvideo.sources.manifest import read_source_videos
from pipelines import clips, scored_videos, source_videos
from pipelines.stage import REFUSED, run_stage
from pipelines.stage import main as stage_main
from tests.clips.videos import listed, moving
from tests.sources.hub import REPO, REVISION, Hub, serve
from tests.sources.test_open_sora_plan import archive
from tests.test_run_lock import Listener

SMALL: dict[str, Any] = {
    "storage.min_free_gb": 0.0,
    "clips.num_frames": 8,
    "clips.height": 32,
    "clips.width": 32,
    "clips.workers": 1,
    "evaluation.grid_frames": 4,
}

PHOTOGRAPHS = {"mixkit": "astronaut", "pexels": "coffee", "pixabay": "chelsea"}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """OpenSoraPlan's three archives with a video each."""
    files = {}
    for source, photograph in PHOTOGRAPHS.items():
        listed(tmp_path, f"{source}.mp4", moving(17, photograph))
        content = (tmp_path / f"{source}.mp4").read_bytes()
        files[f"{source}.tar.gz"] = archive({f"{source}/a_000.mp4": content})
    with serve(files) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.endpoint)
        yield served


@pytest.fixture
def settings(tmp_path: Path, hub: Hub) -> dict[str, Any]:
    archives = [f"{it}.tar.gz" for it in PHOTOGRAPHS]
    source = {"kind": "open_sora_plan", "repo_id": REPO, "revision": REVISION, "archives": archives}
    return {**SMALL, "storage.root": str(tmp_path / "out"), "source": source}


@pytest.fixture
def stages_run_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process: what they import is paid once."""

    def run(
        stages: Stages, context: dg.AssetExecutionContext, stage: str, part: str | None = None
    ) -> Receipt:
        program = import_module(f"pipelines.{stage}").STAGE
        try:
            return run_stage(program, stages.preset.load(), Silent(), part)
        except InputError as error:
            raise dg.Failure(str(error)) from error

    monkeypatch.setattr(Stages, "run", run)


AT_ONCE = {
    "run_launcher": {
        "module": "dagster._core.launcher.sync_in_memory_run_launcher",
        "class": "SyncInMemoryRunLauncher",
    },
    "run_coordinator": {
        "module": "dagster._core.run_coordinator",
        "class": "DefaultRunCoordinator",
    },
}
"""Runs are executed in this process, not queued."""

REEXECUTE = """
mutation Again($id: String!) {
  reexecutePartitionBackfill(reexecutionParams: {parentRunId: $id, strategy: FROM_FAILURE}) {
    ... on LaunchBackfillSuccess { backfillId }
  }
}
"""


def test_a_backfill_resumes_with_the_source_that_failed_alone(
    settings: dict[str, Any], hub: Hub, stages_run_here: None
) -> None:
    code = LoadableTargetOrigin(
        executable_path=sys.executable, module_name="dagster_project.definitions"
    )
    location = InProcessTestWorkspaceLoadTarget(InProcessCodeLocationOrigin(code))
    with (
        dg.instance_for_test(overrides=AT_ONCE) as instance,
        WorkspaceProcessContext(instance, location) as workspace,
    ):

        def ended(backfill: str) -> dict[str, str]:
            """Statuses of its runs by partition, once the daemon has ended it."""
            while instance.get_backfill(backfill).status == BulkActionStatus.REQUESTED:
                list(execute_backfill_iteration(workspace, logging.getLogger("backfill")))
            runs = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill}))
            return {run.tags["dagster/partition"]: run.status.value for run in runs}

        key = dg.AssetKey("open_sora_plan")
        config = {"name": "tiny", "overrides": settings}
        instance.add_backfill(
            PartitionBackfill.from_asset_partitions(
                backfill_id="first",
                asset_graph=workspace.create_request_context().asset_graph,
                partition_names=ARCHIVES.get_partition_keys(),
                asset_selection=[key],
                backfill_timestamp=1e9,
                tags={},
                dynamic_partitions_store=instance,
                all_partitions=False,
                title=None,
                description=None,
                run_config={"resources": {"preset": {"config": config}}},
            )
        )
        hub.down.add("pixabay.tar.gz")
        first = ended("first")
        assert first == {"mixkit": "SUCCESS", "pexels": "SUCCESS", "pixabay": "FAILURE"}

        hub.down.clear()
        hub.sent.clear()
        answer = execute_dagster_graphql(
            workspace.create_request_context(), REEXECUTE, variables={"id": "first"}
        )
        again = answer.data["reexecutePartitionBackfill"]["backfillId"]
        assert ended(again) == {"pixabay": "SUCCESS"}
        assert hub.sent == ["pixabay.tar.gz"]

    preset = load_preset("tiny", settings)
    scored = _scores(preset)
    assert len(scored) == 3
    joined = run_stage(source_videos.STAGE, preset, Silent())
    run_stage(clips.STAGE, preset, Silent())
    rows = read_source_videos(
        stage_folder(preset, "source_videos") / joined.folder / joined.files["manifest"]
    )
    assert [row.source for row in rows] == ["mixkit", "pexels", "pixabay"]
    assert hub.sent == ["pixabay.tar.gz"], "what the partitions have fetched is not fetched again"
    assert _scores(preset) == scored, "nor decoded"


def _scores(preset: Preset) -> dict[str, int]:
    """Remembered scores by file, with the nanosecond they were written at."""
    folder = Path(str(stage_folder(preset, "clips"))) / clips.SCORES
    return {it.name: it.stat().st_mtime_ns for it in folder.iterdir()}


@pytest.fixture
def batches(tmp_path: Path) -> Preset:
    """A preset of one's own videos, in two folders that a pattern finds."""
    for name, photograph in (("monday", "astronaut"), ("tuesday", "coffee")):
        (tmp_path / "batches" / name).mkdir(parents=True)
        listed(tmp_path / "batches" / name, "a.mp4", moving(17, photograph))
    return load_preset("tiny", _of_batches(tmp_path))


def _of_batches(root: Path) -> dict[str, Any]:
    source = {"kind": "local", "paths": [f"{root}/batches/*/"]}
    return {**SMALL, "storage.root": str(root / "out"), "source": source}


def _at_once(preset: Preset, *parts: str) -> list[tuple[Receipt, Listener]]:
    listeners = [Listener() for _ in parts]
    with ThreadPoolExecutor(len(parts)) as threads:
        receipts = threads.map(
            lambda part, listener: run_stage(scored_videos.STAGE, preset, listener, part),
            parts,
            listeners,
        )
        return list(zip(receipts, listeners, strict=True))


def test_of_two_runs_on_one_partition_one_works_and_the_other_waits_and_finds_it_done(
    batches: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected, said = [], threading.Event()
    collect, say = source_videos.collect, Listener.say

    def slow(*arguments: Any) -> Any:
        collected.append(arguments)
        assert said.wait(60), "it ends only when the other one has said that it waits"
        return collect(*arguments)

    def tell(self: Listener, message: str) -> None:
        say(self, message)
        if self.waits.is_set():
            said.set()

    monkeypatch.setattr(source_videos, "collect", slow)
    monkeypatch.setattr(Listener, "say", tell)
    monday = str(tmp_path / "batches/monday")
    (one, _), (other, _) = ended = _at_once(batches, monday, monday)
    [waited] = [it.said for _, it in ended if it.waits.is_set()]
    assert "waiting for the run that writes here now: process" in waited[0]
    assert "up to date" in waited[1]
    assert one == other
    assert len(collected) == 1


def test_two_partitions_are_made_beside_each_other_and_both_are_kept(
    batches: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, collect = threading.Barrier(2, timeout=60), source_videos.collect

    def meeting(*arguments: Any) -> Any:
        both.wait()
        return collect(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(source_videos, "collect", meeting)
        _at_once(batches, *(str(tmp_path / "batches" / day) for day in ("monday", "tuesday")))
    scored = _scores(batches)
    run_stage(source_videos.STAGE, batches, Silent())
    assert run_stage(clips.STAGE, batches, Silent()).figures["videos"] == 2
    assert _scores(batches) == scored


def test_a_further_path_asks_for_no_new_folder(batches: Preset, tmp_path: Path) -> None:
    before = run_stage(source_videos.STAGE, batches, Silent())
    monday = {"kind": "local", "paths": [str(tmp_path / "batches/monday")]}
    alone = load_preset("tiny", {**_of_batches(tmp_path), "source": monday})
    after = run_stage(source_videos.STAGE, alone, Silent())
    assert (before.figures["files"], after.figures["files"]) == (2, 1)
    assert before.folder == after.folder


def test_a_part_that_the_preset_lacks_is_refused_with_those_that_there_are(
    batches: Preset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = [f"--set={key}={json.dumps(value)}" for key, value in _of_batches(tmp_path).items()]
    assert stage_main(scored_videos.STAGE, ["--part", "pexels", *sets]) == REFUSED
    said = capsys.readouterr().err
    assert f"has no part 'pexels': there are {tmp_path}/batches/monday, {tmp_path}" in said


def _tick(instance: dg.DagsterInstance, **settings: Any) -> str:
    """What the sensor says; what it asks for is done."""
    preset = PresetResource(name="tiny", overrides=settings)
    context = dg.build_sensor_context(instance, resources={"preset": preset})
    answer = batches_have_come.evaluate_tick(context)
    for request in answer.dynamic_partitions_requests or ():
        name, keys = request.partitions_def_name, request.partition_keys
        if isinstance(request, dg.AddDynamicPartitionsRequest):
            instance.add_dynamic_partitions(name, keys)
        else:
            for key in keys:
                instance.delete_dynamic_partition(name, key)
    return str(answer.skip_message)


def test_batches_get_partitions_when_they_come_and_lose_them_when_they_go(tmp_path: Path) -> None:
    folder = tmp_path / "batches"
    (folder / "monday").mkdir(parents=True)
    settings = _of_batches(tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        assert _tick(instance, **settings) == "batches: 1, 1 of them new; 0 are gone"
        assert _tick(instance, **settings) == "batches: 1, none of them new"
        (folder / "monday").rename(folder / "tuesday")
        _tick(instance, **settings)
        assert instance.get_dynamic_partitions("batches") == [f"{folder}/tuesday"]
        (folder / "tuesday").rmdir()
        assert "no folder matches" in _tick(instance, **settings)
        assert instance.get_dynamic_partitions("batches") == [f"{folder}/tuesday"]
        assert "the source is embedded, not local" in _tick(instance)


def test_an_asset_has_at_most_a_thousand_partitions(tmp_path: Path) -> None:
    source = {"kind": "local", "paths": [f"/videos/{number}" for number in range(MOST + 1)]}
    with dg.DagsterInstance.ephemeral() as instance:
        assert "(the first 1,000 have partitions, the road takes them all)" in _tick(
            instance, source=source
        )
        assert len(instance.get_dynamic_partitions("batches")) == MOST
