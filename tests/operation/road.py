"""A small road, walked for the tests: its settings, its Dagster over GraphQL, its MLflow."""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.ports import free_port
from tests.process.census import lives

PATIENCE_S = 800
"""For whatever will come: a machine that does other things, too, takes long over a start."""

SMALL: dict[str, Any] = {
    "source.rendered_clips": 4,
    "source.rendered_frames": 24,
    "clips.num_frames": 12,
    "clips.max_clips_per_video": 1,
    "latents.clips_per_shard": 4,
    "latents.workers": 1,  # each imports for long
    "training.steps": 6,
    "training.precision": "float32",  # bfloat16 is emulated, slowly, on many processors
    "training.warmup_steps": 1,
    "training.log_every": 1,
    "training.validate_every": 3,
    "training.checkpoint_every": 3,
    "evaluation.clips": 1,
    "evaluation.sampling_steps": 2,
    "evaluation.grid_clips": 1,
    "evaluation.grid_frames": 4,
    "evaluation.flow.iterations": 1,
}


@dataclass
class Program:
    """A running command and its lines."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.lines)

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def read(self) -> None:
        """Returns when it has nothing more to say."""
        for line in self.process.stdout or ():
            self.lines.append(line)


@dataclass
class Road:
    """A data root with its settings and, once they are up, its UIs' addresses."""

    home: Path
    dagster_port: int = field(default_factory=free_port)
    mlflow_port: int = field(default_factory=free_port)

    @property
    def dagster_url(self) -> str:
        return f"http://127.0.0.1:{self.dagster_port}"

    @property
    def mlflow_url(self) -> str:
        return f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def overrides(self) -> dict[str, Any]:
        return {**SMALL, "tracking.ui_url": self.mlflow_url}

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DAGSTER", "EXVIDEO"))}
        return {**kept, "EXVIDEO_HOME": str(self.home)}

    def command(self, *words: str, **overrides: Any) -> list[str]:
        """An `exvideo` command line with the small settings."""
        settings = {**self.overrides, **overrides}
        sets = [part for k, v in settings.items() for part in ("--set", f"{k}={json.dumps(v)}")]
        return [sys.executable, "-m", "pipelines.cli", *words, "--preset", "tiny", *sets]

    @contextmanager
    def started(self, *words: str, **overrides: Any) -> Iterator[Program]:
        """A command in the background, killed at the end of the block."""
        process = subprocess.Popen(
            self.command(*words, **overrides),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        program = Program(process)
        reader = threading.Thread(target=program.read, daemon=True)
        reader.start()
        try:
            yield program
        finally:
            process.kill()
            process.wait()
            reader.join(PATIENCE_S)

    def run(self, *words: str, **overrides: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words, **overrides),
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def receipt(self, stage: str) -> dict[str, Any]:
        return json.loads((self.home / "tiny" / stage / "receipt.json").read_text())

    def output(self, stage: str, name: str) -> Path:
        receipt = self.receipt(stage)
        return self.home / "tiny" / stage / receipt["folder"] / receipt["files"][name]

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"{self.dagster_url}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def launch(self, *assets: str, **overrides: Any) -> str:
        """Materialize assets as the UI does; returns the Dagster run's id."""
        config = {"name": "tiny", "overrides": {**self.overrides, **overrides}}
        answer = self.graphql(
            """
            mutation Launch($params: ExecutionParams!) {
              launchRun(executionParams: $params) {
                __typename
                ... on LaunchRunSuccess { run { runId } }
                ... on PythonError { message }
                ... on RunConfigValidationInvalid { errors { message } }
              }
            }
            """,
            params={
                "selector": {
                    "repositoryLocationName": "exvideo",
                    "repositoryName": "__repository__",
                    "jobName": "whole_road",
                    "assetSelection": [{"path": [name]} for name in assets],
                },
                "runConfigData": {"resources": {"preset": {"config": config}}},
            },
        )["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return answer["run"]["runId"]

    def status(self, run_id: str) -> str:
        query = "query Q($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
        return self.graphql(query, id=run_id)["runOrError"]["status"]

    def terminate(self, run_id: str, policy: str) -> None:
        answer = self.graphql(
            """
            mutation T($id: String!, $policy: TerminateRunPolicy!) {
              terminateRun(runId: $id, terminatePolicy: $policy) { __typename }
            }
            """,
            id=run_id,
            policy=policy,
        )
        assert answer["terminateRun"]["__typename"] == "TerminateRunSuccess"

    def mlflow_run(self, dagster_run_id: str) -> Any:
        """The one MLflow run that a Dagster run has opened, or None."""
        from mlflow import MlflowClient

        client = MlflowClient(f"sqlite:///{self.home}/mlflow/mlflow.db")
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        runs = client.search_runs(experiments, f"tags.`dagster/run_id` = '{dagster_run_id}'")
        assert len(runs) <= 1
        return runs[0] if runs else None


def started_by(dagster_run_id: str) -> list[psutil.Process]:
    """Every living process that a Dagster run has started, however deep or detached."""
    found = []
    for process in psutil.process_iter():
        try:
            if lives(process.pid) and process.environ().get("DAGSTER_RUN_ID") == dagster_run_id:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def wait_for(condition: Any, what: str, seconds: float = PATIENCE_S) -> Any:
    """The condition's first true value; fails where there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.25)
    return value
