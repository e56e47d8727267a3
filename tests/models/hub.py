"""A model hub on loopback: as much of its protocol as creating, uploading and loading takes."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class Hub:
    """Repositories in memory: each one commit deep, its files by their paths."""

    def __init__(self) -> None:
        self.private: dict[str, bool] = {}
        self.files: dict[str, dict[str, bytes]] = {}
        self.commits: dict[str, str] = {}
        self.large: dict[str, bytes] = {}
        self.url = ""

    def create(self, request: dict) -> dict:
        name = f"{request['organization']}/{request['name']}"
        self.private[name] = request.get("visibility") == "private"
        self.files.setdefault(name, {})
        return {"url": f"{self.url}/{name}"}

    def batch(self, request: dict) -> dict:
        """Git LFS: where each large object is to be put."""
        return {
            "transfer": "basic",
            "objects": [
                {**wanted, "actions": {"upload": {"href": f"{self.url}/lfs/{wanted['oid']}"}}}
                for wanted in request["objects"]
            ],
        }

    def commit(self, repository: str, lines: bytes) -> dict:
        for line in lines.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                self.files[repository][value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                self.files[repository][value["path"]] = self.large[value["oid"]]
        digest = hashlib.sha1(lines, usedforsecurity=False).hexdigest()
        self.commits[repository] = digest
        url = f"{self.url}/{repository}/commit/{digest}"
        return {"success": True, "commitOid": digest, "commitUrl": url}

    def info(self, repository: str) -> dict:
        siblings = [{"rfilename": path} for path in self.files[repository]]
        sha = self.commits[repository]
        return {"id": repository, "modelId": repository, "sha": sha, "siblings": siblings}

    def tree(self, repository: str) -> list[dict]:
        return [
            {"type": "file", "path": path, "size": len(content), "oid": "0" * 40}
            for path, content in self.files[repository].items()
        ]


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, content: bytes = b"", status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def answer_json(self, content: object) -> None:
        self.answer(json.dumps(content).encode(), Content_Type="application/json")

    def do_POST(self) -> None:
        path, body = urlsplit(self.path).path, self.body()
        parts = path.strip("/").split("/")
        if path == "/api/repos/create":
            self.answer_json(self.hub.create(json.loads(body)))
        elif path == "/api/validate-yaml":
            self.answer_json({"errors": [], "warnings": []})
        elif path.endswith("/info/lfs/objects/batch"):
            self.answer_json(self.hub.batch(json.loads(body)))
        elif parts[4] == "preupload":
            large = (".safetensors",)
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(large) else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            self.answer_json({"files": modes})
        elif parts[4] == "commit":
            self.answer_json(self.hub.commit("/".join(parts[2:4]), body))
        else:
            self.answer(status=404)

    def do_PUT(self) -> None:
        content = self.body()
        digest = self.path.rsplit("/", 1)[-1]
        if hashlib.sha256(content).hexdigest() != digest:
            self.answer(status=400)
            return
        self.hub.large[digest] = content
        self.answer()

    def do_GET(self) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            repository = "/".join(parts[2:4])
            if repository not in self.hub.commits:
                self.answer(status=404, X_Error_Code="RepoNotFound")
            elif "tree" in parts:
                self.answer_json(self.hub.tree(repository))
            else:
                self.answer_json(self.hub.info(repository))
            return
        repository, path = "/".join(parts[:2]), "/".join(parts[4:])
        content = self.hub.files.get(repository, {}).get(path)
        if content is None:
            self.answer(status=404, X_Error_Code="EntryNotFound")
            return
        self.answer(
            content,
            ETag=f'"{hashlib.sha256(content).hexdigest()}"',
            X_Repo_Commit=self.hub.commits[repository],
        )

    do_HEAD = do_GET  # noqa: N815 (the standard library's names)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve() -> Iterator[Hub]:
    """A fresh hub at `hub.url` until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
