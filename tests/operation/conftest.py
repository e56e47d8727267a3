"""The small road, walked once for this folder's tests, and its UIs, up once for them.

Other tests of the same worker find no daemon of theirs.
"""

import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operation.road import PATIENCE_S, Road

OUTPUT = Path(__file__).parent.parent.parent / "test-output"


@pytest.fixture(scope="package")
def road(tmp_path_factory: pytest.TempPathFactory) -> Road:
    return Road(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="package")
def demo(road: Road) -> subprocess.CompletedProcess[str]:
    """`exvideo demo` with the small settings."""
    finished = road.run("demo")
    OUTPUT.mkdir(exist_ok=True)
    (OUTPUT / "demo.log").write_text(finished.stdout + finished.stderr)
    assert finished.returncode == 0, finished.stdout[-4000:] + finished.stderr[-4000:]
    return finished


@pytest.fixture(scope="package")
def uis(road: Road, demo: subprocess.CompletedProcess[str]) -> Iterator[Road]:
    """`exvideo up` over what the demo has made."""
    ports = ["--port", str(road.dagster_port), "--mlflow-port", str(road.mlflow_port)]
    process = road.start("up", *ports)
    assert process.stdout is not None
    lines: list[str] = []
    ready = threading.Event()

    def read() -> None:
        for line in process.stdout or ():
            lines.append(line)
            if "Ctrl-C stops both" in line:
                ready.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        assert ready.wait(PATIENCE_S), "".join(lines)
        yield road
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(PATIENCE_S)
        (OUTPUT / "up.log").write_text("".join(lines))
    assert code == 0
