"""How long one long file holds workers up: looked through by one of them, and in segments.

python -m benchmarks.long_file --frames 5600

The file is of 512x512, with a key frame every 250 frames. Both are wall time of all that the stage
does to it but the scoring of its windows, which several workers shared before.
"""

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from upath import UPath

from benchmarks.curation import world
from exvideo.clips.manifest import Clip
from exvideo.clips.segments import SEGMENT_BYTES
from exvideo.clips.video_turns import all_scored
from exvideo.clips.video_worker import ScoringTask, VideoWorker
from exvideo.clips.workers import LocalWorkers
from exvideo.config import load_preset
from exvideo.progress import Silent
from exvideo.sources.manifest import SourceVideo
from exvideo.video.write import write_mp4

SIDE, FPS, SHOWN, WORKERS = 512, 24.0, 280, 2


class Looker(VideoWorker):
    """Scores nothing."""

    def score(self, windows: list[Clip]) -> tuple[list[Clip], bool]:
        return windows, True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=5600)
    frames = parser.parse_args().frames
    with tempfile.TemporaryDirectory(prefix="long-") as name:
        # To and fro, so that nothing is a cut.
        there = world(0, SHOWN, SIDE)
        moving = np.concatenate([there, there[::-1]])
        warm = made(Path(name), "warm", there[:32])
        video = made(Path(name), "long", np.resize(moving, (frames, SIDE, SIDE, 3)))
        whole, one = looked_through(video, warm, UPath(name), frames * SIDE * SIDE * 2)
        parts, shared = looked_through(video, warm, UPath(name), SEGMENT_BYTES)
    print("\n| two workers look through it | s | times as fast |\n|---|---|---|")
    print(f"| one of them, as a whole | {whole:.1f} | |")
    print(f"| both, in segments | {parts:.1f} | {whole / parts:.2f} |")
    print(f"\nthe same {len(one)} windows: {one == shared}")


def made(folder: Path, name: str, frames: NDArray[np.uint8]) -> SourceVideo:
    path = folder / f"{name}.mp4"
    write_mp4(path, frames, FPS, crf=20)
    return SourceVideo(
        video_id=name,
        piece=0,
        path=path.name,
        sha256=name,
        size_bytes=path.stat().st_size,
        source="made",
        licence_claimed="",
    )


def looked_through(
    video: SourceVideo, warm: SourceVideo, folder: UPath, segment_bytes: int
) -> tuple[float, list[Clip]]:
    """Seconds, once the workers' processes are there, and the file's windows."""
    config = load_preset("svd_128f", {"clips.height": SIDE, "clips.width": SIDE}).clips
    config = config.model_copy(update={"workers": WORKERS})
    task = ScoringTask(folder, config, (), segment_bytes)
    with ExitStack() as stack:
        hired = [stack.enter_context(closing(Looker(task))) for _ in range(WORKERS)]
        for worker in hired:
            worker.look_whole([warm])
        threads = stack.enter_context(ThreadPoolExecutor(WORKERS))
        free = iter(hired)
        workers = LocalWorkers(lambda: next(free), threads)
        started = time.perf_counter()
        [(_, clips, _)] = all_scored({"long": [video]}, workers, config, Silent())
        return time.perf_counter() - started, clips


if __name__ == "__main__":
    main()
