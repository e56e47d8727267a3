"""The reverse proxy's own configuration, served by nginx on this machine."""

import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

from exvideo.config import PROJECT
from tests.ports import free_port
from tests.server import serving

TEMPLATE = PROJECT / "deployment" / "proxy" / "exvideo.conf.template"

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

MAIN = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/exvideo.conf;
}}
"""


HOSTS = {"DAGSTER_HOST": "dagster.example.org", "MLFLOW_HOST": "mlflow.example.org"}
USER, PASSWORD = "ada", "of-the-proxy"


class Proxy:
    """Two hosts, a certificate of its own, and one user."""

    def __init__(self, folder: Path, dagster_port: int, mlflow_port: int) -> None:
        self.port = free_port()
        names = ",".join(f"DNS:{it}" for it in HOSTS.values())
        certify = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
        certify += ["-subj", "/CN=exvideo", "-addext", f"subjectAltName={names}"]
        certify += ["-keyout", str(folder / "certificate_key"), "-out", str(folder / "certificate")]
        subprocess.run(certify, check=True, capture_output=True)
        word = subprocess.run(
            ["openssl", "passwd", "-apr1", PASSWORD],
            check=True,
            capture_output=True,
            text=True,
        )
        (folder / "htpasswd").write_text(f"{USER}:{word.stdout}")
        text = TEMPLATE.read_text().replace("/run/secrets", str(folder))
        for name, host in HOSTS.items():
            text = text.replace(f"${{{name}}}", host)
        text = text.replace("listen 443", f"listen 127.0.0.1:{self.port}")
        text = text.replace("webserver:3000", f"127.0.0.1:{dagster_port}")
        text = text.replace("mlflow:5000", f"127.0.0.1:{mlflow_port}")
        (folder / "exvideo.conf").write_text(text)
        user = "user root;" if folder.stat().st_uid == 0 else ""
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=user))
        self._trust = ssl.create_default_context(cafile=str(folder / "certificate"))
        self.log = folder / "nginx.log"
        command = [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf")]
        self._process = serving(command, self.log, self._up)

    def _up(self) -> bool:
        try:
            self.ask("mlflow.example.org", "/health")
        except OSError:
            return False
        return True

    def ask(
        self, host: str, path: str, *, password: str | None = None, user: str = USER, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a page, as a browser of that host's would get it."""
        context = self._trust
        context.check_hostname = False  # it is asked by its address
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}")
        request.add_header("Host", host)
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        if password is not None:
            word = b64encode(f"{user}:{password}".encode()).decode()
            request.add_header("Authorization", f"Basic {word}")
        try:
            with urllib.request.urlopen(request, timeout=20, context=context) as response:
                return response.status, dict(response.headers), response.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def stop(self) -> None:
        self._process.end()
