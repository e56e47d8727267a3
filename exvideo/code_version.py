"""Which code this is."""

import subprocess
from importlib.metadata import version

from exvideo.config.places import PROJECT


def code_version() -> str:
    """The checkout's commit, with `+changes` where files differ from it; else the release's number.

    A checkout that merely lies above an installed package is somebody else's.
    """
    if (PROJECT / ".git").exists():
        asked = ["git", "-C", str(PROJECT), "describe", "--always", "--exclude=*"]
        asked += ["--abbrev=12", "--dirty=+changes"]
        told = subprocess.run(asked, capture_output=True, text=True, check=False)
        if told.returncode == 0:
            return f"commit {told.stdout.strip()}"
    return f"release {version('exvideo')}"
