"""An object store on this machine."""

import uuid
from collections.abc import Iterator

import pytest
from upath import UPath


@pytest.fixture(scope="session")
def object_store() -> Iterator[None]:
    """Reached as on a cluster, by the environment alone."""
    # A second and more, which only those who ask for it should wait.
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield
    server.stop()


@pytest.fixture
def bucket(object_store: None) -> UPath:
    """An empty bucket."""
    bucket = UPath(f"s3://{uuid.uuid4().hex}")
    bucket.mkdir()
    return bucket
