"""The small road, walked once for this folder's tests, and its UIs, up once for them.

Other tests of the same worker find no daemon of theirs.
"""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operation.road import PATIENCE_S, Road, wait_for

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
    with road.started("up", *ports) as up:
        try:
            wait_for(lambda: "Ctrl-C stops both" in up.text or up.ended, "the UIs are up")
            assert not up.ended, up.text
            yield road
        finally:
            up.process.send_signal(signal.SIGINT)
            code = up.process.wait(PATIENCE_S)
            (OUTPUT / "up.log").write_text(up.text)
    assert code == 0
