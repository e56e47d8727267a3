"""`exvideo up`: the Dagster UI with its daemon and the MLflow UI, on loopback, until Ctrl-C."""

import argparse
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence

from exvideo.config import Preset
from exvideo.errors import InputError
from exvideo.supervised import SupervisedProcess
from pipelines.home import ROOT, prepare_home
from pipelines.stage import add_preset_arguments, chosen_preset

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
        return _serve(preset, arguments.preset, arguments.port, arguments.mlflow_port)
    except InputError as error:
        print(f"exvideo up: {error}", file=sys.stderr)
        return 2


def _serve(preset: Preset, name: str, port: int, mlflow_port: int) -> int:
    def stop(signum: int, _frame: object) -> None:
        raise KeyboardInterrupt

    # A shell starts background commands with SIGINT ignored; here it always means stop.
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, stop)
    dagster_url = f"http://127.0.0.1:{port}"
    environment = {
        **prepare_home(preset),
        "EXVIDEO_PRESET": name,
        "EXVIDEO_DAGSTER_URL": dagster_url,
        # MLflow's job runner would start seven more processes for features not used here.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    servers = {"Dagster": (_dagster(port), dagster_url, f"{dagster_url}/server_info")}
    _require_free(port)
    if preset.tracking.tracking_uri is None:
        _require_free(mlflow_port)
        url = f"http://127.0.0.1:{mlflow_port}"
        servers["MLflow"] = (_mlflow(preset, mlflow_port), url, f"{url}/health")
    processes: list[SupervisedProcess] = []
    try:
        for command, _, _ in servers.values():
            processes.append(SupervisedProcess(command, environment))
        for server, process in zip(servers, processes, strict=True):
            _await(server, servers[server][2], process)
        print(_addresses({server: url for server, (_, url, _) in servers.items()}), flush=True)
        while all(process.poll() is None for process in processes):
            time.sleep(0.5)
        raise InputError("a server has ended by itself; its last lines stand above")
    except KeyboardInterrupt:
        print("stopping both UIs", flush=True)
        return 0
    finally:
        for process in processes:
            process.release()
        for process in processes:
            process.end()


def _dagster(port: int) -> list[str]:
    workspace = str(ROOT / "workspace.yaml")
    options = ["--workspace", workspace, "--host", "127.0.0.1", "--port", str(port)]
    return [sys.executable, "-m", "dagster", "dev", *options]


def _mlflow(preset: Preset, port: int) -> list[str]:
    # The database is created here, under a lock: MLflow's own first start is not safe beside
    # a training's.
    from exvideo.tracking import embedded_store

    store = embedded_store(preset)
    options = ["--backend-store-uri", store.tracking_uri, "--artifacts-destination"]
    options += [store.artifacts, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    return [sys.executable, "-m", "mlflow", "server", *options]


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


def _await(server: str, url: str, process: SupervisedProcess) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _answers(url):
        if process.poll() is not None:
            raise InputError(f"{server} ended with code {process.poll()} before it answered")
        if time.monotonic() > deadline:
            raise InputError(f"{server} did not answer on {url} within {START_TIMEOUT_S:.0f} s")
        time.sleep(0.5)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - loopback http
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _addresses(urls: dict[str, str]) -> str:
    notes = {"Dagster": "", "MLflow": "/#/experiments?workflowType=machine_learning"}
    lines = [f"  {server:8} {url}{notes[server]}" for server, url in urls.items()]
    return "\n".join(["", *lines, "", "Ctrl-C stops both."])
