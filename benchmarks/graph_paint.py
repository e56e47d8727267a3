"""How long Dagster's pages of the assets take to show, with many partitions, in headless Chromium.

python -m benchmarks.graph_paint --partitions 1000
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from playwright.sync_api import Browser, sync_playwright

from assets.source_parts import BATCHES
from exvideo.config import PROJECT
from exvideo.training.launcher import free_port

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]

PAGES = {
    "the graph, its groups": ("/asset-groups", "sources"),
    "the group `sources`, its assets": (
        "/locations/exvideo/asset-groups/sources",
        "own_batches",
    ),
    "`own_batches`, its partitions": ("/assets/own_batches?view=partitions", "batch-0000"),
}
"""Page by what it shows: its address, and the text that is there once it is painted."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", type=int, default=1_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        _materialize(Path(home), arguments.partitions)
        with _webserver(home) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=FLAGS
            )
            print(f"\n| with {arguments.partitions:,} partitions | s |\n|---|---:|")
            for what, (page, text) in PAGES.items():
                print(f"| {what} | {_painted(browser, url + page, text):.1f} |", flush=True)
            browser.close()


def _materialize(home: Path, partitions: int) -> None:
    """A home whose asset has so many partitions, nine of ten of them materialized."""
    shutil.copy(PROJECT / "dagster_project" / "dagster.yaml", home)
    names = [f"batch-{number:04d}" for number in range(partitions)]
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        instance.add_dynamic_partitions(str(BATCHES.name), names)
        for name in names[: partitions * 9 // 10]:
            made = dg.AssetMaterialization("own_batches", partition=name)
            instance.report_runless_asset_event(made)


@contextmanager
def _webserver(home: str) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "dagster_webserver", "--port", str(port)]
    command += ["--workspace", str(PROJECT / "workspace.yaml")]
    environment = {**os.environ, "DAGSTER_HOME": home, "PYTHONPATH": str(PROJECT)}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=log, stderr=log)
        try:
            _await(url)
            yield url
        finally:
            process.terminate()
            process.wait()


def _await(url: str) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{url}/server_info", timeout=5)  # noqa: S310
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise TimeoutError(f"{url} did not answer")


def _painted(browser: Browser, url: str, text: str) -> float:
    """The quickest of three, each in a browser without a cache, after one that warms the server."""
    seconds = []
    for _ in range(4):
        page = browser.new_page(viewport={"width": 1900, "height": 1000})
        started = time.perf_counter()
        page.goto(url, wait_until="commit")
        page.get_by_text(text, exact=True).first.wait_for(timeout=60_000)
        seconds.append(time.perf_counter() - started)
        page.close()
    return min(seconds[1:])


if __name__ == "__main__":
    main()
