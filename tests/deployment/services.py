"""The compose file's services on this machine: Postgres, object store, MLflow, Ray, Dagster."""

import os
import pwd
import shutil
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from exvideo.config import PROJECT
from exvideo.supervised import SupervisedProcess
from tests.deployment.compose import Native, clean_environment, load
from tests.ports import free_port
from tests.server import serving

PORTS = ("3000", "4000", "5000", "5432", "6379", "8333")

SECRETS = {
    "POSTGRES_PASSWORD": "of-the-database",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "of-the-store",
    "RAY_AUTH_TOKEN": "of-the-ray-cluster-0123456789abcdef",
    "MLFLOW_PASSWORD": "of-the-tracking-server",
    "MLFLOW_SECRET_KEY": "of-its-sessions",
    "RAY_CPUS": "1",
    "MLFLOW_HOST": "mlflow.example.org",
}


def postgres_binaries() -> Path | None:
    """The folder of initdb and postgres, which Debian keeps off the PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = shutil.which("initdb")
    return folders[-1] if folders else Path(found).parent if found else None


class Services:
    """Started one by one; as containers are, each is started again where it ends by itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {port: free_port() for port in PORTS}
        folders = {
            "/opt/exvideo": PROJECT,
            "/var/lib/exvideo": folder / "logs",
            "/scratch": folder / "scratch",
            "/data": folder / "store",
        }
        for it in folders.values():
            it.mkdir(exist_ok=True)
        self._native = Native(self.ports, folders)
        self._document = load(SECRETS)
        self._document["services"]["store"]["command"].insert(0, "weed")  # its image's entry
        self._processes: list[SupervisedProcess] = []

    @property
    def dagster_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['3000']}"

    @property
    def mlflow_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['5000']}"

    def environment(self, service: str) -> dict[str, str]:
        return self._native.service(self._document, service)[1]

    def start(self, service: str, ready: Callable[[], bool], *, called: str = "") -> None:
        """Start a service; returns once `ready`."""
        command, environment = self._native.service(self._document, service)
        self._run(called or service, command, environment, ready)

    def start_postgres(self, binaries: Path) -> None:
        """A cluster with the compose file's user, password and databases."""
        data, password = self.folder / "postgres", self.folder / "password"
        data.mkdir()
        password.write_text(SECRETS["POSTGRES_PASSWORD"])
        as_user: list[str] = []
        if os.geteuid() == 0:  # Postgres refuses to run as root
            owner = pwd.getpwnam("postgres")
            as_user = ["runuser", "-u", owner.pw_name, "--"]
            for it in (data, password):
                os.chown(it, owner.pw_uid, owner.pw_gid)
            for it in (self.folder, *self.folder.parents[:3]):
                it.chmod(it.stat().st_mode | 0o011) if it.owner() == "root" else None
        make = [*as_user, str(binaries / "initdb"), "-D", str(data), "-U", "exvideo"]
        make += ["--auth=scram-sha-256", f"--pwfile={password}", "--no-sync"]
        subprocess.run(make, check=True, capture_output=True)
        serve = [*as_user, str(binaries / "postgres"), "-D", str(data), "-h", "127.0.0.1"]
        serve += ["-p", str(self.ports["5432"]), "-k", "", "-c", "fsync=off"]
        self._run("postgres", serve, {}, lambda: self._sql(binaries, "SELECT 1"))
        assert self._sql(binaries, "CREATE DATABASE dagster")  # as the image does
        script = (PROJECT / "deployment" / "databases.sql").read_text()
        for statement in script.partition("\n")[2].split(";"):
            assert not statement.strip() or self._sql(binaries, statement)

    def _sql(self, binaries: Path, statement: str) -> bool:
        reach = {k: v for k, v in self.environment("webserver").items() if k.startswith("PG")}
        command = [str(binaries / "psql"), "-d", "postgres", "-c", statement]
        finished = subprocess.run(command, env={**os.environ, **reach}, capture_output=True)
        return finished.returncode == 0

    def _run(
        self,
        name: str,
        command: Sequence[str],
        environment: dict[str, str],
        ready: Callable[[], bool],
    ) -> None:
        whole = {
            **clean_environment(),
            "PYTHONPATH": str(PROJECT),
            "OMP_NUM_THREADS": "1",
            **environment,
        }
        process = serving(command, self.log(name), ready, whole, started_again=True)
        self._processes.append(process)

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def cpu_seconds(self) -> float:
        """Of all that lives now, and of its ended children."""
        trees = [psutil.Process(it.process.pid) for it in self._processes if it.poll() is None]
        times = [p.cpu_times() for tree in trees for p in [tree, *tree.children(recursive=True)]]
        return sum(it.user + it.system + it.children_user + it.children_system for it in times)

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.release()
        for process in reversed(self._processes):
            process.end()


def answer(url: str, user: str = "", password: str = "") -> int:
    """A page's status; 0 where nobody answers."""
    request = urllib.request.Request(url)
    if user:
        word = b64encode(f"{user}:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {word}")
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return 0
