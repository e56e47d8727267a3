"""How long it takes to list a folder of many videos, as the sensor for new files does.

python -m benchmarks.listing --files 100000
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from exvideo.sources.local import find_local, local_fingerprint

FOLDERS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    count = parser.parse_args().files
    with tempfile.TemporaryDirectory() as name:
        for number in range(count):
            folder = Path(name, f"{number % FOLDERS:03d}")
            folder.mkdir(exist_ok=True)
            (folder / f"{number:06d}.mp4").touch()
        print(f"\n| of {count:,} files | s |\n|---|---|")
        calls: dict[str, Callable[[list[str]], object]] = {
            "whether anything is new": local_fingerprint,
            "every entry judged": find_local,
        }
        for what, call in calls.items():
            started = time.perf_counter()
            call([name])
            print(f"| {what} | {time.perf_counter() - started:.1f} |")


if __name__ == "__main__":
    main()
