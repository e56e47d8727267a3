"""What passes through Ray's object stores while clips are cut and latents are written.

python -m benchmarks.ray_object_store

The stages of the preset `tiny` on a cluster of two nodes on this machine. Ray counts each object
that ever was in a store; what is smaller than 100 kB goes from process to process without.
"""

import argparse
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.loader.table import print_table
from benchmarks.ray_nodes import Nodes, ray_nodes
from exvideo.config import load_preset
from exvideo.receipt import Figure, read_receipt, stage_folder

NODES = 2
EVERY_S = 0.2

FIGURES = {"clips": "clips kept", "latent_shards": "clips"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=80, help="rendered videos, a clip each")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="stores-") as root:
        settings = {
            "storage.root": root,
            "source.rendered_clips": arguments.clips,
            "clips.workers": NODES,
            "latents.workers": NODES,
        }
        _run("source_videos", settings)  # alone, as it asks for no cluster
        with ray_nodes(NODES) as nodes:
            print_table(
                ["stage", "clips", "MB written", "in the stores: kB at most", "kB ever", "objects"],
                (_row(nodes, stage, settings) for stage in FIGURES),
            )


def _row(nodes: Nodes, stage: str, settings: dict[str, object]) -> list[str]:
    before = nodes.store()
    with _most_used(nodes) as most:
        _run(stage, settings)
    after = nodes.store()
    here = stage_folder(load_preset("tiny", settings), stage)
    receipt = read_receipt(here)
    assert receipt is not None  # noqa: S101 - it has ended well
    written = sum(it.stat().st_size for it in Path(str(here)).rglob("*") if it.is_file())
    figures: dict[str, Figure] = receipt.figures
    ever = after.cumulative_created_bytes - before.cumulative_created_bytes
    objects = after.cumulative_created_objects - before.cumulative_created_objects
    clips = str(figures[FIGURES[stage]])
    return [
        stage,
        clips,
        f"{written / 1e6:.1f}",
        f"{max(most) / 1e3:.1f}",
        f"{ever / 1e3:.1f}",
        str(objects),
    ]


@contextmanager
def _most_used(nodes: Nodes) -> Iterator[list[int]]:
    """Bytes in all stores, again and again while the block lasts."""
    used, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(EVERY_S):
            used.append(nodes.store().object_store_bytes_used)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield used
    finally:
        over.set()
        thread.join()


def _run(stage: str, settings: dict[str, object]) -> None:
    options = [it for key, value in settings.items() for it in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", f"pipelines.{stage}", "--preset", "tiny", *options]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
