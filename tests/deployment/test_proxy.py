"""The reverse proxy lets in who has the password, and no page of elsewhere."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.deployment.proxy import HOSTS, NGINX, PASSWORD, Proxy

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx isn't installed (`make nginx`)")

DAGSTER, MLFLOW = HOSTS.values()


class Echo(BaseHTTPRequestHandler):
    """Answers with the request's headers and the port that it came to."""

    def do_GET(self) -> None:
        said = {"port": self.server.server_address[1], **dict(self.headers)}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def upstream() -> Iterator[list[int]]:
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Echo) for _ in range(2)]
    for it in servers:
        threading.Thread(target=it.serve_forever, daemon=True).start()
    yield [it.server_address[1] for it in servers]
    for it in servers:
        it.shutdown()


@pytest.fixture(scope="module")
def proxy(upstream: list[int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    up = Proxy(tmp_path_factory.mktemp("proxy"), *upstream)
    yield up
    up.stop()


@pytest.mark.parametrize("password", [None, "guessed", ""])
def test_dagster_is_closed_without_the_password(proxy: Proxy, password: str | None) -> None:
    for path in ("/", "/graphql", "/server_info"):
        assert proxy.ask(DAGSTER, path, password=password)[0] == 401


def test_dagster_is_open_with_it_and_does_not_see_it(proxy: Proxy, upstream: list[int]) -> None:
    status, headers, body = proxy.ask(DAGSTER, "/runs", password=PASSWORD)
    said = json.loads(body)
    assert (status, said["port"]) == (200, upstream[0])
    assert "Authorization" not in said
    assert (said["Host"], said["X-Forwarded-Proto"]) == (DAGSTER, "https")
    assert headers["Strict-Transport-Security"]
    assert "nginx/" not in headers["Server"]


def test_mlflow_is_asked_with_its_own_users_password(proxy: Proxy, upstream: list[int]) -> None:
    said = json.loads(proxy.ask(MLFLOW, "/", user="eve", password="hers")[2])
    assert said["port"] == upstream[1]
    assert said["Authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("host", "site", "mode", "path", "status"),
    [
        (DAGSTER, "same-origin", "cors", "/graphql?query=mutation", 200),
        (DAGSTER, "none", "navigate", "/graphql", 200),
        (DAGSTER, "cross-site", "no-cors", "/graphql?query=mutation", 403),
        (DAGSTER, "cross-site", "navigate", "/graphql?query=mutation", 403),
        (DAGSTER, "same-site", "cors", "/graphql", 403),
        (DAGSTER, "cross-site", "navigate", "/runs/1", 200),
        (DAGSTER, "cross-site", "no-cors", "/runs/1", 403),
        (MLFLOW, "same-site", "no-cors", "/get-artifact?path=grid.jpg", 200),
        (MLFLOW, "cross-site", "no-cors", "/get-artifact?path=grid.jpg", 403),
    ],
)
def test_a_page_elsewhere_does_not_act_for_who_is_signed_in(
    proxy: Proxy, host: str, site: str, mode: str, path: str, status: int
) -> None:
    came = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": mode}
    assert proxy.ask(host, path, password=PASSWORD, **came)[0] == status


def test_a_host_that_is_not_ours_gets_no_answer(proxy: Proxy) -> None:
    with pytest.raises(OSError, match="closed connection"):
        proxy.ask("elsewhere.example.org", "/", password=PASSWORD)
