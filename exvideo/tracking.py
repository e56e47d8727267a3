"""MLflow through `MlflowClient` alone: no active run, no state of the process, no thread's.

Without a tracking URI, runs live in SQLite and a local folder below the data root.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import quote

from pydantic import BaseModel
from upath import UPath

from exvideo.config import Preset, data_root
from exvideo.errors import InputError
from exvideo.sources.file_digests import sha256_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

STAGE_KEY = "exvideo.stage_key"
"""Tag with the digest of all that the run's work depends on: it finds the run to go on with."""

DAGSTER_RUN_ID = "dagster/run_id"

WHAT_CHANGED = "what changed"
"""Tag, and a column of the table of runs: each setting that the run before had otherwise."""

MOST_CHARACTERS = 5000
"""Of a tag, in MLflow."""

MOST_BYTES = 100_000_000
"""Of an artifact: MLflow's server passes each one on itself, and is held up by a large one."""

SYSTEM_INTERVAL_S = 5.0
"""At least, between two looks at the machine."""

SYSTEM_STEPS = 200
"""Of a run's steps, the seconds between two looks: at most 2,000 for steps of up to 10 s."""
_METRICS_A_BATCH = 1000
_PARAMETERS_A_BATCH = 100


class TrackedRun:
    """One MLflow run, of this process or of another."""

    def __init__(self, tracking_uri: str, run_id: str) -> None:
        self.tracking_uri = tracking_uri
        self.run_id = run_id
        self._client = _client(tracking_uri)
        self.experiment_id: str = self._client.get_run(run_id).info.experiment_id

    @classmethod
    def open_or_resume(
        cls, preset: Preset, stage_key: str, name: str, tags: Mapping[str, str] | None = None
    ) -> Self:
        """Go on with the run of `stage_key`, or create it; its status is RUNNING then."""
        uri = tracking_uri(preset)
        client = _client(uri)
        experiment_id = _experiment(client, preset)
        ours = f"tags.`{STAGE_KEY}` = '{stage_key}'"
        found = client.search_runs([experiment_id], ours, max_results=1)
        if found:
            run_id = found[0].info.run_id
            client.update_run(run_id, status="RUNNING")
        else:
            stamp = {STAGE_KEY: stage_key}
            run_id = client.create_run(experiment_id, run_name=name, tags=stamp).info.run_id
        run = cls(uri, run_id)
        run.log_tags(tags or {})
        return run

    def log_tags(self, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self._client.set_tag(self.run_id, key, value)

    def log_parameters(self, settings: BaseModel, prefix: str = "") -> None:
        """Log settings under dotted keys.

        A run that goes on keeps those it began with, as MLflow wants; what is another now stands
        in a tag `changed/KEY`. A new one has the tag `what changed`, against the run before it.
        """
        from mlflow.entities import Param

        known = self._client.get_run(self.run_id).data.params
        flat = flattened(settings.model_dump(mode="json"), prefix)
        if not known and (before := self._run_before()):
            self.log_tags({WHAT_CHANGED: differences(before, flat)[:MOST_CHARACTERS]})
        new = [Param(key, value) for key, value in flat.items() if key not in known]
        for start in range(0, len(new), _PARAMETERS_A_BATCH):
            batch = new[start : start + _PARAMETERS_A_BATCH]
            self._client.log_batch(self.run_id, params=batch)
        changed = {key: value for key, value in flat.items() if known.get(key, value) != value}
        self.log_tags({f"changed/{key}": value for key, value in changed.items()})

    def _run_before(self) -> dict[str, str] | None:
        """The parameters of the newest other run of the experiment."""
        newest = ["attributes.start_time DESC"]
        runs = self._client.search_runs([self.experiment_id], max_results=2, order_by=newest)
        others = [it for it in runs if it.info.run_id != self.run_id]
        return dict(others[0].data.params) if others else None

    def log_metrics(self, rows: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Log figures by name for each step, in few requests."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(name, float(value), now, step)
            for step, figures in rows
            for name, value in figures.items()
        ]
        for start in range(0, len(metrics), _METRICS_A_BATCH):
            batch = metrics[start : start + _METRICS_A_BATCH]
            self._client.log_batch(self.run_id, metrics=batch)

    def last_step(self, metric: str) -> int:
        """The last step for which `metric` is known, -1 before the first."""
        history = self._client.get_metric_history(self.run_id, metric)
        return max((it.step for it in history), default=-1)

    def log_dataset(self, name: str, digest: str, source: str, profile: Mapping[str, Any]) -> None:
        """Name the data that the run trains on; `digest` is the one that Dagster shows too."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(
            name=name,
            digest=digest[:36],  # MLflow's limit
            source_type="local" if UPath(source).protocol in ("", "file") else "remote",
            source=json.dumps({"uri": source}),
            profile=json.dumps({**profile, "sha256": digest}),
        )
        tag = InputTag("mlflow.data.context", "training")
        self._client.log_inputs(self.run_id, [DatasetInput(dataset, [tag])])

    def log_document(self, document: Mapping[str, Any], file: str) -> None:
        """Store a mapping as a JSON or YAML artifact, by the file's ending."""
        self._client.log_dict(self.run_id, dict(document), file)

    def log_artifact(
        self, path: Path, folder: str | None = None, kept_at: UPath | None = None
    ) -> None:
        """Store a file; above `MOST_BYTES`, where it lies and its SHA-256, as `NAME.json`.

        `kept_at` is where it stays, if that is not `path`.
        """
        size = path.stat().st_size
        if size <= MOST_BYTES:
            self._client.log_artifact(self.run_id, str(path), folder)
            return
        told = {"uri": str(kept_at or path.absolute()), "sha256": sha256_of(path), "bytes": size}
        self.log_document(told, f"{folder}/{path.name}.json" if folder else f"{path.name}.json")

    def log_image(self, path: Path, key: str, step: int) -> None:
        """Store a picture as the step's in the series `key`, which MLflow shows on a slider."""
        from PIL import Image

        with Image.open(path) as picture:
            self._client.log_image(self.run_id, picture, key=key, step=step)

    def register_model(self, name: str, folder: str, card: str, tags: Mapping[str, str]) -> str:
        """A version of the registered model `name`, this run's artifacts in `folder` its source.

        The same `sha256` in `tags` is the same version. `card` is Markdown. Returns the version.
        """
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        same = f"name = '{name}' and tags.sha256 = '{tags['sha256']}'"
        if known := self._client.search_model_versions(same):
            return str(known[0].version)
        source = f"runs:/{self.run_id}/{folder}"
        made = self._client.create_model_version(
            name, source, self.run_id, tags=dict(tags), description=card
        )
        return str(made.version)

    @contextmanager
    def system_metrics(self, steps: int) -> Iterator[None]:
        """Within the block, processors, memory, disk, network and GPUs are logged as `system/`.

        The more steps the run has, the longer it will take, and the more rarely.
        """
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        monitor = SystemMetricsMonitor(
            self.run_id,
            sampling_interval=max(SYSTEM_INTERVAL_S, steps / SYSTEM_STEPS),
            resume_logging=True,
            tracking_uri=self.tracking_uri,
        )
        monitor.start()
        try:
            yield
        finally:
            monitor.finish()

    def end(self, status: Status) -> None:
        self._client.set_terminated(self.run_id, status)

    def url(self, ui_url: str) -> str:
        """Where people see the run."""
        return run_url(ui_url, self.experiment_id, self.run_id)


@dataclass(frozen=True)
class EmbeddedStore:
    """MLflow's database and artifacts below the data root."""

    tracking_uri: str
    artifacts: str


def tracking_uri(preset: Preset) -> str:
    """The preset's tracking URI, or the embedded database's, which exists then."""
    return preset.tracking.tracking_uri or embedded_store(preset).tracking_uri


def embedded_store(preset: Preset) -> EmbeddedStore:
    """The store below the data root, created where there is none.

    Concurrent first users are safe: MLflow's own migrations, run by two at once, crash.
    """
    folder = _embedded_folder(preset)
    folder.mkdir(parents=True, exist_ok=True)
    database, artifacts = folder / "mlflow.db", folder / "artifacts"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not database.exists():
            # Elsewhere first: a half-migrated database would be of no use to anybody.
            part = folder / "mlflow.db.part"
            part.unlink(missing_ok=True)
            _create_database(part, artifacts)
            part.replace(database)
    return EmbeddedStore(f"sqlite:///{database}", str(artifacts))


def run_url(ui_url: str, experiment_id: str, run_id: str) -> str:
    """A run's page. Without the workflow's type MLflow opens on traces of language models."""
    page = f"#/experiments/{experiment_id}/runs/{run_id}?workflowType=machine_learning"
    return f"{ui_url.rstrip('/')}/{page}"


def artifact_page(run_page: str, artifact: str) -> str:
    """Where MLflow shows a file of the run whose page `run_url` gives."""
    page, _, query = run_page.partition("?")
    return f"{page}/artifacts/{quote(artifact)}?{query}"


def set_run_status(tracking_uri: str, run_id: str, status: Status) -> None:
    """Set a run's end from outside, where its own process can no longer do so."""
    _client(tracking_uri).set_terminated(run_id, status)


def settle_runs(preset: Preset, tag: str, value: str, status: Status) -> list[str]:
    """Give every unfinished run with that value of a tag its end status; returns their ids.

    What had finished before stays FINISHED.
    """
    embedded = preset.tracking.tracking_uri is None
    if embedded and not (_embedded_folder(preset) / "mlflow.db").exists():
        return []
    uri = tracking_uri(preset)
    client = _client(uri)
    experiment = client.get_experiment_by_name(preset.tracking.experiment)
    if experiment is None:
        return []
    tagged = f"tags.`{tag}` = '{value}'"
    unsettled = [
        run.info.run_id
        for run in client.search_runs([experiment.experiment_id], tagged)
        if run.info.status not in ("FINISHED", status)
    ]
    for run_id in unsettled:
        client.set_terminated(run_id, status)
    return unsettled


def dagster_tags(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Tags that lead from MLflow to the Dagster run that started this process, if one did."""
    run_id = environment.get("DAGSTER_RUN_ID")
    if not run_id:
        return {}
    tags = {DAGSTER_RUN_ID: run_id}
    if ui := environment.get("EXVIDEO_DAGSTER_URL"):
        link = f"{ui.rstrip('/')}/runs/{run_id}"
        # MLflow shows the note as a description with a link, other tags as plain text.
        tags |= {"dagster/run_url": link, "mlflow.note.content": f"[Dagster run]({link})"}
    return tags


def flattened(document: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted keys and texts."""
    flat: dict[str, str] = {}
    for key, value in document.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{name}.")
        else:
            flat[name] = value if isinstance(value, str) else json.dumps(value)
    return flat


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Settings that are not the same, for people."""
    keys = [key for key in {**now, **before} if before.get(key) != now.get(key)]
    told = [f"{key}: {before.get(key, 'unset')} → {now.get(key, 'unset')}" for key in keys]
    return "; ".join(told) or "no setting"


def _client(uri: str) -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(uri)


def _experiment(client: "MlflowClient", preset: Preset) -> str:
    from mlflow.exceptions import MlflowException

    name = preset.tracking.experiment
    found = client.get_experiment_by_name(name)
    if found is None:
        artifacts = None
        if preset.tracking.tracking_uri is None:
            artifacts = (_embedded_folder(preset) / "artifacts" / name).as_uri()
        try:
            return client.create_experiment(name, artifacts)
        except MlflowException:
            # Another process was faster, or there is a real reason.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return found.experiment_id


def _embedded_folder(preset: Preset) -> Path:
    root = UPath(data_root(preset))
    if root.protocol not in ("", "file", "local"):
        raise InputError(
            f"storage.root is {root}, where MLflow's database cannot lie: name a server in "
            "tracking.tracking_uri"
        )
    return Path(str(root)).absolute() / "mlflow"


def _create_database(database: Path, artifacts: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(f"sqlite:///{database}", artifacts.as_uri())
    store.engine.dispose()
