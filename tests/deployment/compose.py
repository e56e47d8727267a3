"""The compose file as docker compose reads it, and its services as processes of this machine."""

import os
import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from exvideo.config import PROJECT

FILE = PROJECT / "deployment" / "compose.yaml"
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


class Unset(Exception):  # noqa: N818 - docker compose stops with this message
    """A variable that has no default."""


def load(variables: Mapping[str, str]) -> dict[str, Any]:
    """The file with its variables filled in. Raises `Unset`."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if variables.get(name):
            return variables[name]
        if kind == "?":
            raise Unset(f"{name}: {rest}")
        return rest or ""

    document: dict[str, Any] = yaml.safe_load(FILE.read_text())

    def filled(node: Any) -> Any:
        if isinstance(node, str):
            return VARIABLE.sub(value, node)
        if isinstance(node, dict):
            return {key: filled(it) for key, it in node.items()}
        return [filled(it) for it in node] if isinstance(node, list) else node

    filled_in: dict[str, Any] = filled(document)
    return filled_in


@dataclass(frozen=True)
class Native:
    """What stands on this machine for what the containers see."""

    ports: Mapping[str, int]
    """Ports here by those in the file."""
    folders: Mapping[str, Path]
    """Folders here by those in the file."""

    def text(self, text: str, hosts: list[str]) -> str:
        # Ray's nodes know each other by the machine's own address, all else is on loopback.
        text = text.replace("code:6379", f"{own_address()}:6379")
        text = re.sub(rf"\b({'|'.join(hosts)}):(?=\d)", "127.0.0.1:", text)
        for there, here in self.folders.items():
            text = text.replace(there, str(here))
        numbers = "|".join(self.ports)
        return re.sub(rf"(?<![\w.])({numbers})\b", lambda it: str(self.ports[it[1]]), text)

    def service(self, document: Mapping[str, Any], name: str) -> tuple[list[str], dict[str, str]]:
        """The command and the environment of a service."""
        hosts = list(document["services"])
        service = document["services"][name]

        def here(text: str) -> str:
            if text in hosts or text == "0.0.0.0":  # noqa: S104 - what it becomes is loopback
                return "127.0.0.1"
            return self.text(text, hosts)

        program, *options = service["command"]
        environment = {key: here(it) for key, it in service.get("environment", {}).items()}
        command = [self.text(program, hosts), *(here(it) for it in options)]
        return command, environment


def own_address() -> str:
    """The address that Ray takes for this machine's; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"  # without a network
        return str(probe.getsockname()[0])


def clean_environment() -> dict[str, str]:
    """This process's own, without what would reach into a service."""
    ours = ("AWS_", "DAGSTER", "EXVIDEO", "MLFLOW_", "PG", "RAY_")
    kept = {key: it for key, it in os.environ.items() if not key.startswith(ours)}
    # Programs of this environment come before the machine's.
    return {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
