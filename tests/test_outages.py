"""A tracker that is away, a locked database, a clock that jumps: nothing is lost."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from mlflow import MlflowClient
from PIL import Image
from upath import UPath

from exvideo import receipt
from exvideo.config import Preset, load_preset
from exvideo.progress import Silent
from exvideo.tracking import TrackedRun, embedded_store
from pipelines.curves import Curves
from pipelines.stage import Job, Outcome, Stage, run_stage
from tests.dagster_project.pool_job import ROOT
from tests.training.tiny import training_job

PLACE = "mlflow-artifacts:/1/r"
RUN = {
    "info": {"run_id": "r", "experiment_id": "1", "status": "RUNNING", "artifact_uri": PLACE},
    "data": {},
}


class Listening(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


@dataclass
class Tracker:
    """An MLflow server as far as curves need one; it can go away and come back."""

    port: int = 0
    status: int = 200
    refuses_files: bool = False
    points: list[tuple[int, float]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    @contextmanager
    def up(self) -> Iterator[str]:
        tracker = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer({"run": RUN, "metrics": []})

            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if tracker.status == 200:
                    tracker.points += [(it["step"], it["value"]) for it in sent["metrics"]]
                self._answer({})

            def do_PUT(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                if not tracker.refuses_files:
                    tracker.files.append(self.path.partition("/1/r/")[2])
                self._answer({}, 503 if tracker.refuses_files else 200)

            def _answer(self, document: dict[str, Any], status: int | None = None) -> None:
                self.send_response(status or tracker.status)
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())

            def log_message(self, *_: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{self.port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's own client tries for minutes before it says that nobody answers."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def test_metrics_wait_while_mlflow_is_down_and_are_sent_once_it_is_back(
    tmp_path: Path, no_patience: None
) -> None:
    tracker, progress = Tracker(), Listening()
    job = training_job(tmp_path, log_every=1)
    with tracker.up() as uri:
        curves = Curves(job, progress, TrackedRun(uri, "r"))
        curves([{"step": 1, "loss": 1.0}])
    curves([{"step": 2, "loss": 0.5}])
    with tracker.up():
        tracker.status = 503
        curves([{"step": 3, "loss": 0.25}])
    assert tracker.points == [(1, 1.0)]
    assert all(it.startswith("MLflow takes nothing now, it waits: ") for it in progress.said)
    assert len(progress.said) == 2
    with tracker.up():
        tracker.status = 200
        curves([{"step": 4, "loss": 0.125}])
    assert tracker.points == [(1, 1.0), (2, 0.5), (3, 0.25), (4, 0.125)]


def test_pictures_wait_as_well_while_the_artifact_proxy_fails(
    tmp_path: Path, no_patience: None
) -> None:
    tracker, progress = Tracker(), Listening()
    job = training_job(tmp_path, log_every=1)
    job.samples.mkdir(parents=True)
    picture = job.sample(3, "clip", ".png")
    Image.new("RGB", (8, 8)).save(picture)
    picture.with_suffix(".mp4").write_bytes(b"video")
    with tracker.up() as uri:
        curves = Curves(job, progress, TrackedRun(uri, "r"))
        tracker.refuses_files = True
        curves([{"step": 3, "validation_loss": 1.0}])
        assert (tracker.points, tracker.files) == ([(3, 1.0)], [])
        assert progress.said[-1].startswith("MLflow takes nothing now, it waits: ")
        tracker.refuses_files = False
        curves([{"step": 4, "loss": 0.5}])
    assert tracker.points == [(3, 1.0), (4, 0.5)]
    assert tracker.files[0] == f"samples/{picture.stem}.mp4"
    assert any(it.startswith("images/") for it in tracker.files)


@contextmanager
def locked(database: Path, seconds: float) -> Iterator[None]:
    """Another process's write that lasts."""
    connection = sqlite3.connect(database, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")

    def release() -> None:
        time.sleep(seconds)
        connection.rollback()
        connection.close()

    thread = threading.Thread(target=release)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_a_locked_mlflow_database_holds_metrics_up_but_loses_none(tmp_path: Path) -> None:
    preset = load_preset("tiny", {"storage.root": str(tmp_path)})
    run = TrackedRun.open_or_resume(preset, "key", "run")
    with locked(Path(embedded_store(preset).tracking_uri.removeprefix("sqlite:///")), 2):
        run.log_metrics([(1, {"training/loss": 0.5})])
    history = MlflowClient(run.tracking_uri).get_metric_history(run.run_id, "training/loss")
    assert [(it.step, it.value) for it in history] == [(1, 0.5)]


def test_a_locked_dagster_database_holds_a_run_up_but_loses_no_word(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_bytes((ROOT / "dagster_project/dagster.yaml").read_bytes())
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        run = instance.add_run(dg.DagsterRun("road", "0" * 8))
        with locked(tmp_path / "history" / "runs.db", 2):
            instance.add_run_tags(run.run_id, {"exvideo/process": "p"})
            instance.report_engine_event("it says", run)
        found = instance.get_run_by_id(run.run_id)
        assert found is not None
        assert found.tags["exvideo/process"] == "p"
        assert any("it says" in str(it.message) for it in instance.all_logs(run.run_id))


def test_a_clock_that_jumps_makes_nothing_old_or_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def run(job: Job) -> Outcome:
        made.append(job.key)
        return Outcome(digest=job.key)

    def sections(preset: Preset) -> Any:
        return preset.training.steps

    class Clock(datetime):
        jump = timedelta()

        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2026, 11, 26, tzinfo=UTC) + cls.jump

    monkeypatch.setattr(receipt, "datetime", Clock)
    stage = Stage(name="stage", version=1, inputs=(), sections=sections, run=run)

    def at(days: int, steps: int) -> str:
        Clock.jump = timedelta(days=days)
        settings = {"storage.root": str(tmp_path), "training.steps": steps}
        return run_stage(stage, load_preset("tiny", settings), Silent()).key

    first = at(0, steps=20)
    assert at(-400, steps=20) == at(400, steps=20) == first
    assert made == [first], "up to date, whatever the clock says"
    second = at(-400, steps=30)
    last = receipt.read_receipt(UPath(tmp_path) / "tiny" / "stage")
    assert last is not None
    assert last.key == second, "the last one made counts, though its date is the older one"
