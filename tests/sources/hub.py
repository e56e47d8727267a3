"""A hub on loopback: one data set's repository, as far as huggingface_hub asks."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REPO = "someone/pieces"
REVISION = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """What it holds, what was downloaded from it, and what goes wrong on the way."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.sent: list[str] = []
        self.damaged: set[str] = set()
        """Files that arrive with one byte flipped."""
        self.down: set[str] = set()
        """Files that are not given at all."""
        self.endpoint = ""

    def tree(self) -> list[dict[str, object]]:
        return [
            {
                "type": "file",
                "path": name,
                "size": len(content),
                "oid": hashlib.sha1(content, usedforsecurity=False).hexdigest(),
                "lfs": {
                    "oid": hashlib.sha256(content).hexdigest(),
                    "size": len(content),
                    "pointerSize": 134,
                },
            }
            for name, content in self.files.items()
        ]

    def content(self, name: str) -> bytes:
        content = self.files[name]
        if name in self.damaged:
            middle = len(content) // 2
            content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        return content


@contextmanager
def serve(files: dict[str, bytes]) -> Iterator[Hub]:
    hub = Hub(files)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, with_body: bool) -> None:
            path = self.path.partition("?")[0]
            if path == f"/api/datasets/{REPO}/tree/{REVISION}":
                body = json.dumps(hub.tree()).encode()
                self._send(200, body, {"Content-Type": "application/json"}, with_body)
                return
            found = re.fullmatch(f"/datasets/{REPO}/resolve/{REVISION}/(.+)", path)
            if not found or found[1] not in hub.files or found[1] in hub.down:
                self._send(404, b"", {"X-Error-Code": "EntryNotFound"}, with_body)
                return
            name = found[1]
            listed = hashlib.sha256(hub.files[name]).hexdigest()
            if with_body:
                hub.sent.append(name)
            headers = {"X-Repo-Commit": REVISION, "ETag": f'"{listed}"'}
            self._send(200, hub.content(name), headers, with_body)

        def _send(self, code: int, body: bytes, headers: dict[str, str], with_body: bool) -> None:
            self.send_response(code)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
