"""`make audit` against a stand-in that answers as OSV's API does."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deployment.audit import UNKNOWN, VULNERABLE, main

AFFECTED: dict[str, Any] = {
    "package": {"name": "idna", "ecosystem": "PyPI"},
    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.7"}]}],
}
VULNERABILITY = {
    "id": "PYSEC-2024-60",
    "schema_version": "1.7.3",
    "aliases": ["CVE-2024-3651"],
    "summary": "Names may take quadratic time.",
    "published": "2024-07-07T18:15:09Z",
    "affected": [AFFECTED],
}


@pytest.fixture
def osv() -> Iterator[str]:
    """Knows of one vulnerability, of idna 3.6."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = (asked["package"]["name"], asked["version"]) == ("idna", "3.6")
            body = json.dumps({"vulns": [VULNERABILITY]} if known else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()


def audit(folder: Path, url: str, *pins: str) -> int:
    file = folder / "pins.txt"
    file.write_text("\n".join(pins))
    return main(["--pins", str(file), "--osv-url", url])


def test_a_vulnerable_pin_fails_with_the_version_to_take(
    tmp_path: Path, osv: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(tmp_path, osv, "idna==3.6", "six==1.17.0") == VULNERABLE
    told = capsys.readouterr().out
    assert "idna 3.6: PYSEC-2024-60, fixed in 3.7\n  Names may take quadratic time." in told
    assert "six" not in told


def test_pins_that_nothing_is_known_against_are_counted(
    tmp_path: Path, osv: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(tmp_path, osv, "idna==3.7", "six==1.17.0") == 0
    assert capsys.readouterr().out == "2 pins, none with a known vulnerability\n"


def test_no_answer_is_no_good_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = "http://127.0.0.1:9/v1/query"
    assert audit(tmp_path, url, "six==1.17.0") == UNKNOWN
    told = capsys.readouterr().err
    assert f"nothing is known, for {url} gave no answer: " in told
    assert "Run it where that is reached" in told
