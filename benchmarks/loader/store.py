"""The same files in an object store on this machine, which counts what it is asked for."""

import os
import re
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import numpy as np
from upath import UPath

from benchmarks.loader.clips import NoiseClips
from benchmarks.loader.format import Format, Place
from benchmarks.loader.reading import random_reads, scan_speed
from tests.object_store import RealStore

ROWS = 32
"""Different ones, read at random."""

TITLES = [
    "format",
    "reads",
    "to open: MB",
    "requests",
    "a random row: median, ms",
    "times its bytes",
    "requests",
    "in a row: MB/s",
    "times their bytes",
]


def store_rows(
    kinds: list[Format], places: dict[str, Place], clips: NoiseClips, folder: Path
) -> Iterator[list[str]]:
    """Of the table, each as it is found; nothing is cached when a column begins."""
    store = RealStore(folder / "store")
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    os.environ |= {"AWS_ENDPOINT_URL": store.url, "AWS_DEFAULT_REGION": "us-east-1", **keys}
    try:
        (bucket := UPath("s3://formats")).mkdir()
        for kind in kinds:
            row = [kind.NAME, kind.REMOTE or "local files alone"]
            if kind.REMOTE:
                local = Path(places[kind.NAME].url)
                bucket.fs.put(str(local), f"{bucket.path}/{local.name}", recursive=True)
                caches = folder / "caches" / local.name
                try:
                    row += _row(kind, f"s3://formats/{local.name}", caches, clips, store)
                except Exception as error:  # another's bug ends no table
                    traceback.print_exc()
                    row.append(f"fails: {type(error).__name__}")
            yield row + [""] * (len(TITLES) - len(row))
    finally:
        store.kill()


def _row(kind: Format, url: str, caches: Path, clips: NoiseClips, store: RealStore) -> list[str]:
    caches.mkdir(parents=True)
    size = clips[0].size
    figures = []
    if kind.READERS:
        opened = next(iter(kind.READERS.values()))
        before = _counted(store)
        reader = opened(Place(url, caches / "random"))
        opening = _counted(store) - before
        order = np.random.default_rng(1).permutation(len(clips))[:ROWS]
        took = random_reads(lambda _: reader, Place(url, caches), order, seconds=60)
        reading = _counted(store) - before - opening
        figures += [f"{opening[0] / 1e6:.2f}", f"{opening[1]:.0f}", f"{np.median(took):.1f}"]
        figures += [f"{reading[0] / size / len(took):.3f}", f"{reading[1] / len(took):.2f}"]
    else:
        figures += [""] * 5
    before = _counted(store)
    speed = scan_speed(kind.scan(Place(url, caches / "scan")), len(clips), size)
    read = _counted(store) - before
    return [*figures, f"{speed:.0f}", f"{read[0] / size / len(clips):.3f}"]


def _counted(store: RealStore) -> np.ndarray:
    """Bytes that the server has sent and requests that it has answered."""
    time.sleep(0.5)  # a reader that runs ahead comes to rest
    with urlopen(store.metrics_url) as page:  # noqa: S310
        text = page.read().decode()
    names = ("s3_bucket_traffic_sent_bytes_total", "s3_request_total")
    return np.array(
        [sum(map(float, re.findall(rf"^SeaweedFS_{it}{{.*}} (\S+)$", text, re.M))) for it in names]
    )
