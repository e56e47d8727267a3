"""`make setup`: what it installs, and when it does so again. Nothing is really installed here."""

import shutil
import subprocess
from pathlib import Path

import pytest

from exvideo.config import PROJECT

PYTHON = """#!/bin/sh
# Stands in for python -m venv and for pip: an environment whose uv notes what it is asked for.
mkdir -p .venv/bin
cp "$0" .venv/bin/python
printf '#!/bin/sh\\necho "$@" >> installed.txt\\n' > .venv/bin/uv
chmod +x .venv/bin/uv
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for file in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(PROJECT / file, tmp_path)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def installed(checkout: Path, *words: str) -> list[str]:
    """What uv was asked for while `make` ran."""
    log = checkout / "installed.txt"
    log.unlink(missing_ok=True)
    command = ["make", "--silent", *words, f"PYTHON={checkout / 'python'}"]
    subprocess.run(command, cwd=checkout, check=True, capture_output=True)
    return log.read_text().splitlines() if log.exists() else []


def test_setup_installs_the_named_extras_under_the_constraints(checkout: Path) -> None:
    [line] = installed(checkout, "setup", "EXTRAS=cuda,s3")
    assert "--constraint constraints.txt" in line
    assert line.endswith("--editable .[dev,cuda,s3]")


def test_setup_installs_once_and_again_when_the_extras_change(checkout: Path) -> None:
    assert installed(checkout, "setup")[0].endswith(".[dev,s3]")
    assert installed(checkout, "setup") == []
    assert installed(checkout, "setup", "EXTRAS=cuda,s3")[0].endswith(".[dev,cuda,s3]")


def test_what_was_installed_last_stays_without_naming_it_again(checkout: Path) -> None:
    installed(checkout, "setup", "EXTRAS=cuda,s3")
    assert installed(checkout, "setup") == []


def test_no_extras_are_none(checkout: Path) -> None:
    assert installed(checkout, "setup", "EXTRAS=")[0].endswith(".[dev]")


def test_flash_attn_builds_against_the_installed_torch(checkout: Path) -> None:
    setup, flash = installed(checkout, "flash")
    assert setup.endswith(".[dev,s3]")
    assert "--no-build-isolation" in flash
    assert flash.endswith(".[flash]")
