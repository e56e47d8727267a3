"""What a clip costs in each step of the stage `clips`, and what all of OpenSoraPlan would.

python -m benchmarks.curation_costs --videos 12

Videos are two pieces of 64 frames of 512x512, as OpenSoraPlan's are, and give one clip of 128. All
figures are processor time, children's too, so that a busy machine changes them by little. The stage
is run twice, over a third of the videos and over all: the difference is what videos cost, without
what it takes to start.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from upath import UPath

from benchmarks.curation import world
from exvideo.clips.curate import curate
from exvideo.clips.filters.footage import Footage
from exvideo.clips.filters.load import load_filters
from exvideo.clips.manifest import Clip, write_clips
from exvideo.clips.scan import scan
from exvideo.clips.score_videos import score_videos
from exvideo.clips.signature import signature
from exvideo.config import load_preset
from exvideo.progress import Silent
from exvideo.sources.file_digests import sha256_of
from exvideo.sources.manifest import SourceVideo
from exvideo.video.crop import Crop
from exvideo.video.frames import cropped_frames
from exvideo.video.packets import opened
from exvideo.video.rgb import Frame, rgb
from exvideo.video.write import write_mp4

PIECE, SIDE, FPS = 64, 512, 24.0
FRAMES = 2 * PIECE
PIECES_OF_OPENSORAPLAN = 434_000
WHOLE = Crop(0, 0, SIDE, SIDE)


def make(folder: Path, number: int) -> None:
    frames = world(number, FRAMES, SIDE)
    for piece in range(2):
        part = frames[piece * PIECE : (piece + 1) * PIECE]
        write_mp4(folder / f"{number}_{piece}.mp4", part, FPS, crf=20)


def rows(folder: Path, numbers: range) -> list[SourceVideo]:
    return [
        SourceVideo(
            video_id=str(number),
            piece=piece,
            path=f"{number}_{piece}.mp4",
            sha256=sha256_of(folder / f"{number}_{piece}.mp4"),
            size_bytes=1,
            source="made",
            licence_claimed="",
        )
        for number in numbers
        for piece in range(2)
    ]


def spent() -> float:
    """Seconds of processor time of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(it.ru_utime + it.ru_stime for it in used)


def cost(run: Callable[[], object]) -> float:
    before = spent()
    run()
    return spent() - before


def bare(path: Path) -> Iterator[Frame]:
    """Decode a file, and nothing else."""
    with opened(path) as (container, stream):
        for frame in container.decode(stream):
            yield rgb(frame)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=12)
    count = parser.parse_args().videos
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(prefix="curation-") as name:
        folder = Path(name)
        with ProcessPoolExecutor(2) as pool:
            list(pool.map(partial(make, folder), range(count)))
        _report(folder, count)


def _report(folder: Path, count: int) -> None:
    files = sorted(folder.glob("*.mp4"))
    filters = load_filters()
    config = load_preset("svd_128f", {"clips.height": SIDE, "clips.width": SIDE}).clips
    config = config.model_copy(update={"workers": 1})
    for warm in (scan(files[0], 27.0), cropped_frames(files[0], 0, 2, 1, WHOLE, SIDE, SIDE)):
        list(warm)
    steps = {
        "digest of the files": cost(lambda: [sha256_of(path) for path in files]),
        "bare decode to RGB": cost(lambda: [sum(1 for _ in bare(path)) for path in files]),
        "damage, cuts, borders": cost(lambda: [list(scan(path, 27.0)) for path in files]),
        "reading": cost(
            lambda: [
                sum(1 for _ in cropped_frames(path, 0, PIECE, 1, WHOLE, SIDE, SIDE))
                for path in files
            ]
        ),
    }
    scores = dict.fromkeys([*(found.name for found in filters), "signature"], 0.0)
    for number in range(count):
        parts = [np.stack(list(bare(folder / f"{number}_{k}.mp4"))) for k in range(2)]
        footage = Footage(np.concatenate(parts), FPS)
        for found in filters:
            scores[found.name] += cost(partial(found.score, footage))
        scores["signature"] += cost(partial(signature, footage))

    def stage(numbers: range) -> float:
        def run() -> None:
            videos = rows(folder, numbers)
            by_id = {v.video_id: [w for w in videos if w.video_id == v.video_id] for v in videos}
            store = UPath(folder / f"scores-{len(numbers)}")
            score_videos(by_id, UPath(folder), config, filters, store, Silent())

        return cost(run)

    third = count // 3
    whole = (stage(range(count)) - stage(range(third))) / (count - third)
    clips = curate(
        rows(folder, range(count)),
        UPath(folder),
        config,
        UPath(folder / f"scores-{count}"),
        Silent(),
    )
    scored = [clip for clip in clips if clip.scores]
    _table(steps, scores, whole, count)
    _duplicates_and_manifest(scored[0], folder)


def _table(steps: dict[str, float], scores: dict[str, float], whole: float, count: int) -> None:
    print("\n| step | ms a clip | ms a frame |\n|---|---|---|")

    def row(name: str, seconds: float) -> None:
        print(f"| {name} | {1e3 * seconds:.0f} | {1e3 * seconds / FRAMES:.2f} |")

    for name, seconds in [*steps.items(), *((f"`{it}`", scores[it]) for it in scores)]:
        row(name, seconds / count)
    filters = sum(scores.values()) / count
    row("all filters", filters)
    row("the stage", whole)
    least = steps["bare decode to RGB"] / count + filters
    print(f"\nthe stage over bare decode and filters: {whole / least:.2f}")
    print(f"filters against real time, one core: {FRAMES / FPS / filters:.1f}")
    hours = PIECES_OF_OPENSORAPLAN / 2 * whole / 3600
    print("\n| cores | hours for 434,000 pieces |\n|---|---|")
    for cores in (1, 2, 16, 64):
        print(f"| {cores} | {hours / cores:.1f} |")


def _duplicates_and_manifest(clip: Clip, folder: Path) -> None:
    """What is not by the video: its share of a clip, at 20,000 clips."""
    from benchmarks.curation import BITS
    from exvideo.clips.near_duplicates import without_near_duplicates

    rng = np.random.default_rng(0)
    words = rng.integers(0, 2**63, (20_000, 72), np.uint64)
    many = [
        clip.model_copy(
            update={
                "clip_id": f"{n:016x}",
                "video_id": str(n),
                "signature": it.astype(">u8").tobytes().hex(),
            }
        )
        for n, it in enumerate(words)
    ]
    for name, run in (
        ("near-duplicates", lambda: without_near_duplicates(many, BITS)),
        ("manifest", lambda: write_clips(UPath(folder), many)),
    ):
        started = time.process_time()
        run()
        print(f"{name}, 20,000 clips: {time.process_time() - started:.1f} s")


if __name__ == "__main__":
    main()
