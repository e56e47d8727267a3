"""Our latent shards beside other formats: the same clips written, read one by one and all, from a
local disk and an S3 server, and shown by ranks that are stopped and resumed.

python -m benchmarks.loader --folder /tmp/loader --rows 128

Formats whose packages are missing are left out. They need an environment of their own, as what
they ask for contradicts each other; with this project's pins they all work:

uv venv /tmp/formats
uv pip install --python /tmp/formats --override constraints.txt -e .[dev,s3] \\
    litdata webdataset mosaicml-streaming megatron-energon[s3] torchdata
"""

import argparse
import gc
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from upath import UPath

from benchmarks.loader.clips import NoiseClips
from benchmarks.loader.format import Format, Place, installed
from benchmarks.loader.reading import check, milliseconds, random_reads, scan_speed
from benchmarks.loader.resuming import resume_rows
from benchmarks.loader.table import print_table
from benchmarks.loader.waiting import print_waiting
from exvideo.latents.manifest import read_manifest
from exvideo.latents.verify import verify
from exvideo.progress import Silent

SECTIONS = ("local", "resume", "store", "waiting")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=128, help="clips")
    parser.add_argument("--reads", type=int, default=320, help="random reads of each kind")
    parser.add_argument("--seconds", type=float, default=20, help="at most, for reads of a kind")
    parser.add_argument("--folder", type=Path, help="for temporary files; the system's by default")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--formats", nargs="+", default=[""], help="parts of the names of those")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    kinds, left_out = installed()
    print("\n".join(left_out))
    kinds = [it for it in kinds if any(part in it.NAME for part in arguments.formats)]
    with TemporaryDirectory(prefix="loader-", dir=arguments.folder) as name:
        folder = Path(name)
        clips = NoiseClips(folder / "noise.npy", arguments.rows)
        print(f"{len(clips)} clips of {clips[0].size / 1e6:.2f} MB, {os.cpu_count()} cores")
        places = {it.NAME: Place(str(folder / it.NAME.split()[0]), folder) for it in kinds}
        written = [_written(it, Path(places[it.NAME].url), clips) for it in kinds]
        gc.freeze()  # what was imported so far is no format's to search through
        if "local" in arguments.only:
            order = np.random.default_rng(0).integers(len(clips), size=arguments.reads)
            _local(kinds, places, clips, written)
            _random(kinds, places, clips, order, arguments.seconds)
            _verified(places)
        if "resume" in arguments.only:
            titles = ["format", "an epoch, 2 ranks", "stopped, 2 ranks", "stopped, then 4 ranks"]
            print_table(titles, resume_rows(kinds, places, len(clips), after=len(clips) // 24))
        if "store" in arguments.only:
            from benchmarks.loader.store import (  # pytest, which ranks can do without
                TITLES,
                store_rows,
            )

            print_table(TITLES, store_rows(kinds, places, clips, folder))
        if "waiting" in arguments.only and "ours" in places:
            print_waiting(UPath(places["ours"].url))


def _written(kind: Format, folder: Path, clips: NoiseClips) -> list[str]:
    """Seconds and MB."""
    with TemporaryDirectory(dir=folder.parent) as name:  # imports
        few = NoiseClips(Path(name) / "noise.npy", 2)
        (warm := Path(name) / "warm").mkdir()
        kind.write(warm, few)
    folder.mkdir()
    began = time.perf_counter()
    kind.write(folder, clips)
    seconds = time.perf_counter() - began
    megabytes = sum(it.stat().st_size for it in folder.rglob("*") if it.is_file()) / 1e6
    return [f"{seconds:.1f}", f"{megabytes:.0f}"]


def _local(
    kinds: list[Format], places: dict[str, Place], clips: NoiseClips, written: list[list[str]]
) -> None:
    rows = []
    for kind, figures in zip(kinds, written, strict=True):
        speeds = [
            scan_speed(kind.scan(places[kind.NAME]), len(clips), clips[0].size) for _ in range(3)
        ]
        rows.append([kind.NAME, *figures, f"{max(speeds):.0f}"])
    print_table(["format", "written in, s", "MB", "read in a row, MB/s"], rows)


def _random(
    kinds: list[Format],
    places: dict[str, Place],
    clips: NoiseClips,
    order: np.ndarray,
    seconds: float,
) -> None:
    rows = []
    for kind in kinds:
        for how, opened in kind.READERS.items():
            check(opened(places[kind.NAME]), clips)  # imports, too, and the disk's cache
            took = random_reads(opened, places[kind.NAME], order, seconds)
            rows.append([f"{kind.NAME}: {how}", *milliseconds(took)])
        if not kind.READERS:
            rows.append([f"{kind.NAME}: has none", "", "", ""])
    print_table(["random read of a clip", "mean, ms", "median", "95 % within"], rows)


def _verified(places: dict[str, Place]) -> None:
    if "ours" in places:
        folder = UPath(places["ours"].url)
        (path,) = folder.glob("manifest-*.json")
        manifest = read_manifest(path)
        began = time.process_time()
        found = verify(folder, manifest, Silent())
        speed = sum(it.bytes for it in manifest.shards) / 1e9 / (time.process_time() - began)
        print(f"\nverify: {speed:.1f} GB a second of one core, {len(found)} damaged")


if __name__ == "__main__":
    main()
