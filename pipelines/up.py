"""`exvideo up`: the Dagster UI with its daemon and the MLflow UI, on loopback, until Ctrl-C.

What the servers print goes to files; the screen holds their addresses, or why there are none.
"""

import argparse
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from exvideo.config import Preset
from exvideo.errors import InputError
from exvideo.screen import Screen
from exvideo.supervised import SupervisedProcess
from pipelines.home import ROOT, prepare_home
from pipelines.stage import add_preset_arguments, chosen_preset

LAST_LINES = 20
"""Of a server's log, shown where it has ended by itself."""

START_TIMEOUT_S = 180.0
"""Both UIs import for half a minute on a slow machine."""


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="exvideo up", description=__doc__)
    add_preset_arguments(parser)
    parser.add_argument("--port", type=int, default=3000, help="Dagster's port")
    parser.add_argument("--mlflow-port", type=int, default=5000, help="MLflow's port")
    arguments = parser.parse_args(argv)
    try:
        preset = chosen_preset(arguments)
        with Screen(sys.stdout.fileno()) as screen:
            return _serve(preset, arguments, screen)
    except InputError as error:
        print(f"exvideo up: {error}", file=sys.stderr)
        return 2


@dataclass(frozen=True)
class _Server:
    name: str
    command: list[str]
    url: str
    health: str
    """Path of a page that answers once the server is ready."""
    log: Path


def _serve(preset: Preset, arguments: argparse.Namespace, screen: Screen) -> int:
    def stop(signum: int, _frame: object) -> None:
        raise KeyboardInterrupt

    # A shell starts background commands with SIGINT ignored; here it always means stop.
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, stop)
    home = prepare_home(preset)
    servers = _servers(preset, arguments, home.logs)
    environment = {
        **home.environment,
        "EXVIDEO_PRESET": arguments.preset,
        "EXVIDEO_DAGSTER_URL": servers[0].url,
        # MLflow's job runner would start seven more processes for features not used here.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    processes: list[SupervisedProcess] = []
    try:
        for server in servers:
            screen.say(f"starting {server.name}; it logs to {server.log}")
            processes.append(_started(server, environment))
        for server, process in zip(servers, processes, strict=True):
            screen.doing(f"starting {server.name}")
            _await(server, process)
        screen.doing("")
        screen.say(_addresses(servers))
        while True:
            for server, process in zip(servers, processes, strict=True):
                _require_alive(server, process)
            time.sleep(0.5)
    except KeyboardInterrupt:
        screen.say("stopping both UIs")
        return 0
    finally:
        screen.doing("stopping")
        for process in processes:
            process.release()
        for process in processes:
            process.end()


def _servers(preset: Preset, arguments: argparse.Namespace, logs: Path) -> list[_Server]:
    port = arguments.port
    _require_free(port)
    url, log = f"http://127.0.0.1:{port}", logs / "dagster.log"
    servers = [_Server("Dagster", _dagster(port), url, "/server_info", log)]
    if preset.tracking.tracking_uri is None:
        port = arguments.mlflow_port
        _require_free(port)
        settings = [part for it in arguments.set for part in ("--set", it)]
        command = _mlflow(["--preset", arguments.preset, *settings], port)
        url, log = f"http://127.0.0.1:{port}", logs / "mlflow.log"
        servers.append(_Server("MLflow", command, url, "/health", log))
    return servers


def _started(server: _Server, environment: dict[str, str]) -> SupervisedProcess:
    # Dagster's daemon writes a line every few seconds: a log of this start alone.
    with server.log.open("wb") as log:
        return SupervisedProcess(server.command, environment, stdout=log, stderr=log)


def _require_alive(server: _Server, process: SupervisedProcess) -> None:
    if (code := process.poll()) is None:
        return
    lines = server.log.read_text(errors="replace").splitlines()[-LAST_LINES:]
    raise InputError(
        "\n  ".join([f"{server.name} ended with code {code}; the end of {server.log}:", *lines])
    )


def _dagster(port: int) -> list[str]:
    workspace = str(ROOT / "workspace.yaml")
    options = ["--workspace", workspace, "--host", "127.0.0.1", "--port", str(port)]
    return [sys.executable, "-m", "dagster", "dev", *options]


def _mlflow(preset: list[str], port: int) -> list[str]:
    return [sys.executable, "-m", "pipelines.mlflow_server", *preset, "--port", str(port)]


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise InputError(
                f"port {port} is taken; stop what listens there or choose another with "
                "--port or --mlflow-port"
            ) from error


def _await(server: _Server, process: SupervisedProcess) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _answers(server.url + server.health):
        _require_alive(server, process)
        if time.monotonic() > deadline:
            raise InputError(
                f"{server.name} did not answer on {server.url} within {START_TIMEOUT_S:.0f} s; "
                f"it logs to {server.log}"
            )
        time.sleep(0.5)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - loopback http
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _addresses(servers: Sequence[_Server]) -> str:
    notes = {"Dagster": "", "MLflow": "/#/experiments?workflowType=machine_learning"}
    lines = [f"  {server.name:8} {server.url}{notes[server.name]}" for server in servers]
    return "\n".join(["", *lines, "", "Ctrl-C stops both."])
