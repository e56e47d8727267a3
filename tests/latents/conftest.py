"""An object store on this machine."""

import uuid
from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer
from upath import UPath


@pytest.fixture
def bucket(monkeypatch) -> Iterator[UPath]:
    """An empty bucket, reached as on a cluster: by its URL and the environment."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    # Instances are cached by arguments, and the endpoint is none: forget an earlier server's.
    UPath("s3://").fs.clear_instance_cache()
    bucket = UPath(f"s3://{uuid.uuid4().hex}")  # moto's buckets outlive its server
    bucket.mkdir()
    yield bucket
    server.stop()
