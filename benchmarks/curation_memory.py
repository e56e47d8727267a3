"""What memory the stage `clips` holds in its own process, by how many files are listed.

python -m benchmarks.curation_memory

Frames stay in the decoders' processes; what is left is rows. Videos are two pieces that give one
candidate with all its scores and its signature; all are remembered, so that the process does all
but decode.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from upath import UPath

from exvideo.clips.curate import curate, pieces_by_video
from exvideo.clips.filters.load import load_filters
from exvideo.clips.manifest import Clip, ClipPiece, write_clips
from exvideo.clips.remembered import ScoredVideos
from exvideo.config import ClipsConfig, load_preset
from exvideo.progress import Silent
from exvideo.sources.manifest import SourceVideo

FRAMES, SIDE, SIGNATURE_BYTES = 64, 512, 72 * 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    print("\n| files listed | MiB at most | KiB more a file | s |\n|---|---|---|---|")
    before: tuple[int, float] | None = None
    for count in parser.parse_args().files:
        mib, seconds = in_a_process(count)
        more = f"{(mib - before[1]) * 1024 / (count - before[0]):.1f}" if before else ""
        print(f"| {count:,} | {mib:.0f} | {more} | {seconds:.1f} |", flush=True)
        before = count, mib


def in_a_process(count: int) -> tuple[float, float]:
    """Its largest resident set and seconds of the work."""
    with tempfile.TemporaryDirectory(prefix="memory-") as name:
        config = load_preset("svd_128f").clips
        store = ScoredVideos(UPath(name), config, load_filters(config.filters, config.aesthetic))
        for pieces in pieces_by_video(listed(count)).values():
            store.remember(pieces, [candidate(pieces)])
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_curate, args=(theirs, count, config, Path(name)))
        process.start()
        answer: tuple[float, float] = ours.recv()
        process.join()
        return answer


def _curate(connection: Connection, count: int, config: ClipsConfig, folder: Path) -> None:
    started = time.perf_counter()
    clips = curate(listed(count), UPath(folder), config, UPath(folder), Silent())
    write_clips(UPath(folder) / "out", clips)
    seconds = time.perf_counter() - started
    connection.send((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, seconds))


def listed(count: int) -> list[SourceVideo]:
    return [
        SourceVideo(
            video_id=f"mixkit/Airplane/{number // 2:032d}",
            piece=number % 2,
            path=f"mixkit/Airplane/{number // 2:032d}_{number % 2:03d}.mp4",
            sha256=f"{number:064x}",
            size_bytes=2_000_000,
            source="mixkit",
            licence_claimed="CC0",
        )
        for number in range(count)
    ]


def candidate(pieces: list[SourceVideo]) -> Clip:
    number = int(pieces[0].sha256, 16)
    draw = np.random.default_rng(number)
    scores = {found.name: float(draw.random()) for found in load_filters()}
    return Clip(
        clip_id=f"{number:016x}",
        video_id=pieces[0].video_id,
        source=pieces[0].source,
        status="kept",
        pieces=[
            ClipPiece(path=it.path, sha256=it.sha256, start_frame=0, num_frames=FRAMES)
            for it in pieces
        ],
        fps=24.0,
        crop_height=SIDE,
        crop_width=SIDE,
        num_frames=len(pieces) * FRAMES,
        height=SIDE,
        width=SIDE,
        motion_score=draw.random(),
        contrast=draw.random(),
        motion_bucket_id=127,
        flow_speed=draw.random(),
        scores=scores,
        signature=draw.bytes(SIGNATURE_BYTES).hex(),
    )


if __name__ == "__main__":
    main()
