"""The guide as a site: it builds from the pages as they are, and a broken link fails."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from exvideo.config import PROJECT


def built(project: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(site)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=project, env=quiet, capture_output=True, text=True)


def test_the_site_builds_and_asks_no_other_server(tmp_path: Path) -> None:
    finished = built(PROJECT, tmp_path)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    page = (tmp_path / "reference" / "preset.html").read_text()
    assert "training.micro_batch_size" in page
    assert not [it for it in ('src="http', 'rel="stylesheet" href="http') if it in page]


def test_a_link_to_nowhere_fails(tmp_path: Path) -> None:
    shutil.copy(PROJECT / "mkdocs.yml", tmp_path)
    shutil.copytree(PROJECT / "docs", tmp_path / "docs")
    with (tmp_path / "docs" / "how_to.md").open("a") as page:
        page.write("\n[a page](nowhere.md), [a place](training.md#nowhere)\n")
    failed = built(tmp_path, tmp_path / "site")
    assert failed.returncode != 0
    assert "nowhere.md" in failed.stderr
    assert "training.md#nowhere" in failed.stderr
