"""What Dagster and MLflow cost: loading, a sensor's tick over many files, lists of many runs.

python -m benchmarks.orchestration --files 100000 --runs 1000
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from exvideo.config import Preset, load_preset

LOADING = "from dagster_project.definitions import road; road()"
FOLDERS, VERSIONS = 100, 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=1_000)
    arguments = parser.parse_args()
    print("\n| | s | of a processor |\n|---|---:|---:|")
    with tempfile.TemporaryDirectory() as name:
        for measured in (loads, lambda: tick(Path(name), arguments.files)):
            for what, wall, processor in measured():
                print(f"| {what} | {wall:.2f} | {processor:.2f} |", flush=True)
        for what, wall, processor in lists(Path(name), arguments.runs):
            print(f"| {what} | {wall:.2f} | {processor:.2f} |", flush=True)


Measured = Iterator[tuple[str, float, float]]


def loads() -> Measured:
    """The code location beside Dagster alone, each in a process of its own, the best of three."""
    for what, statement in (
        ("`import dagster`", "import dagster"),
        ("code location, that import included", LOADING),
    ):
        command = [sys.executable, "-c", statement]
        yield what, *min(timed(lambda it=command: subprocess.check_call(it)) for _ in range(3))


def tick(root: Path, files: int) -> Measured:
    """The sensor's, over a folder that no model has seen."""
    import dagster as dg

    from dagster_project.preset import PresetResource
    from dagster_project.retraining import videos_have_come

    videos = root / "videos"
    for number in range(files):
        folder = videos / f"{number % FOLDERS:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:06d}.mp4").touch()
    source = {"kind": "local", "paths": [str(videos)]}
    preset = PresetResource(name="tiny", overrides={"storage.root": str(root), "source": source})
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance, resources={"preset": preset})
        yield (
            f"the sensor's tick over {files:,} files",
            *timed(lambda: videos_have_come.evaluate_tick(context)),
        )


def lists(root: Path, runs: int) -> Measured:
    """What pages and stages ask of MLflow's embedded store with so many runs of a preset."""
    from mlflow import MlflowClient

    from exvideo.registry import Registry
    from exvideo.tracking import TrackedRun, tracking_uri

    preset = load_preset("tiny", {"storage.root": str(root)})
    made = list(_runs(preset, runs))
    client = MlflowClient(tracking_uri(preset))
    experiment = client.get_experiment_by_name(preset.tracking.experiment).experiment_id
    newest = ["attributes.start_time DESC"]
    asked: dict[str, Callable[[], Any]] = {
        f"MLflow: the list's first page, 100 runs of {runs:,}": lambda: client.search_runs(
            [experiment], max_results=100, order_by=newest
        ),
        "sorted by a metric": lambda: client.search_runs(
            [experiment], max_results=100, order_by=["metrics.`validation/loss` ASC"]
        ),
        "with one value of a key": lambda: client.search_runs(
            [experiment], "params.`training.seed` = '7'", max_results=100
        ),
        f"the run to go on with, of {runs:,}": lambda: TrackedRun.open_or_resume(
            preset, "key-7", "r"
        ),
        f"the champion among {VERSIONS} versions": lambda: Registry(preset).champion(),
        "a curve of 2,000 points": lambda: client.get_metric_history(made[0], "training/loss"),
    }
    for what, ask in asked.items():
        ask()
        yield what, *timed(ask)


def _runs(preset: Preset, count: int) -> Iterator[str]:
    from exvideo.registry import Registry
    from exvideo.tracking import TrackedRun

    for number in range(count):
        run = TrackedRun.open_or_resume(preset, f"key-{number}", f"{preset.name}-{number}")
        training = preset.training.model_copy(update={"seed": number})
        run.log_parameters(preset.model_copy(update={"training": training}))
        points = 2000 if number == 0 else 1
        run.log_metrics([(step, {"training/loss": 1 / (step + 1)}) for step in range(points)])
        run.log_metrics([(points, {"validation/loss": number / count})])
        if number < VERSIONS:
            tags = {"sha256": str(number), "weights": str(number)}
            run.register_model(preset.tracking.experiment, "training", "card", tags)
        run.end("FINISHED")
        yield run.run_id
    registry = Registry(preset)
    registry.promote(registry.version("1"))


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the wall, and of a processor by this process and those that it has waited for."""
    before, started = os.times(), time.perf_counter()
    call()
    after = os.times()
    used = sum(after[:4]) - sum(before[:4])
    return time.perf_counter() - started, used


if __name__ == "__main__":
    main()
