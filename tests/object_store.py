"""An object store on this machine."""

import json
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from upath import UPath

from tests.ports import free_port
from tests.server import serving


@pytest.fixture(scope="module")
def object_store() -> Iterator[None]:
    """Reached as on a cluster, by the environment alone, which is left as it was."""
    # A second and more, which only those who ask for it should wait.
    from moto.server import ThreadedMotoServer
    from s3fs import S3FileSystem

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        # Clients are kept by their options, which do not tell one store from another.
        S3FileSystem.clear_instance_cache()
        yield
        S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture
def bucket(object_store: None) -> UPath:
    """An empty bucket."""
    bucket = UPath(f"s3://{uuid.uuid4().hex}")
    bucket.mkdir()
    return bucket


class RealStore:
    """SeaweedFS, a real object store, which can be killed and started again with what it has."""

    def __init__(self, folder: Path) -> None:
        names = ("master", "volume", "filer", "s3")
        self._metrics = free_port()
        self._ports = {name: free_port() for name in names}
        self._grpc = {name: free_port() for name in names}
        self._folder = folder
        self._keys = folder.with_suffix(".json")
        self._log = folder.with_suffix(".log")
        credentials = [{"accessKey": "test", "secretKey": "test"}]
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": "test", "credentials": credentials, "actions": actions}
        self._keys.write_text(json.dumps({"identities": [identity]}))
        folder.mkdir()
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._ports['s3']}"

    @property
    def metrics_url(self) -> str:
        """Where it tells, as Prometheus reads it, what it was asked for and sent."""
        return f"http://127.0.0.1:{self._metrics}/metrics"

    def start(self) -> None:
        """Returns when it answers."""
        options = {f"{name}.port": port for name, port in self._ports.items()}
        options |= {f"{name}.port.grpc": port for name, port in self._grpc.items()}
        options |= {"metricsPort": self._metrics, "volume.max": 0}  # as many as the disk holds
        options |= {"ip": "127.0.0.1", "ip.bind": "127.0.0.1", "dir": self._folder}
        # By default a master waits ten seconds for others, and tells its maker of itself.
        options |= {"master.electionTimeout": "1s", "master.heartbeatInterval": "100ms"}
        options |= {"master.volumeSizeLimitMB": 64, "master.telemetry": "false"}
        options |= {
            "s3": "true",
            "s3.config": self._keys,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.iam": "false",
        }
        command = [str(Path(sys.executable).with_name("weed")), "server", "-filer"]
        command += [f"-{name}={value}" for name, value in options.items()]
        self._process = serving(command, self._log, self._takes_a_file)

    def _takes_a_file(self) -> bool:
        from botocore.exceptions import BotoCoreError  # as slow to import as the rest

        # Those in front answer before the volumes do, so only what is written tells.
        probe = UPath("s3://probe", key="test", secret="test", endpoint_url=self.url)
        try:
            probe.mkdir(exist_ok=True)
            (probe / "file").write_bytes(b"here")
        except (OSError, BotoCoreError):
            return False
        return True

    def kill(self) -> None:
        """SIGKILL, as when its machine fails."""
        if self._process.poll() is None:
            for child in psutil.Process(self._process.process.pid).children():
                child.kill()
        self._process.end()


@pytest.fixture
def real_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealStore]:
    from s3fs import S3FileSystem

    store = RealStore(tmp_path / "store")
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    keys["AWS_MAX_ATTEMPTS"] = "1"  # a test has not the patience of a cluster
    for name, value in {"AWS_ENDPOINT_URL": store.url, **keys}.items():
        monkeypatch.setenv(name, value)
    S3FileSystem.clear_instance_cache()
    yield store
    S3FileSystem.clear_instance_cache()
    store.kill()
