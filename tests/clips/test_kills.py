"""The stage is killed in the middle, ten times, and ends as if it had not been."""

import multiprocessing
import random
import signal
import time
from pathlib import Path

from exvideo.config import Preset
from exvideo.progress import Silent
from pipelines.clips import STAGE as CLIPS
from pipelines.source_videos import STAGE as SOURCE_VIDEOS
from pipelines.stage import run_stage, stage_folder
from tests.clips.test_stages import run, small_preset
from tests.clips.videos import listed, moving

KILLS = 10
PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "brick", "grass", "camera")


def kill_after_the_next_file(preset: Preset, pause_s: float) -> bool:
    """Starts the stage, and kills it a moment after it has begun to write one more file.

    Returns whether it was still running.
    """
    folder = stage_folder(preset, "clips")

    def written() -> int:
        return sum(1 for _ in folder.rglob("*")) if folder.exists() else 0

    before = written()
    # As a fork, as starting Python and importing everything takes longer than all the rest.
    process = multiprocessing.get_context("fork").Process(
        target=run_stage, args=(CLIPS, preset, Silent())
    )
    process.start()
    while process.is_alive() and written() <= before:
        time.sleep(0.002)
    time.sleep(pause_s)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def outputs(preset: Preset, folder: str) -> dict[str, bytes | None]:
    """By name; pictures and pages hold no times, but only the manifest is promised to the byte."""
    files = (stage_folder(preset, "clips") / folder).iterdir()
    return {f.name: f.read_bytes() if f.suffix == ".parquet" else None for f in files}


def test_ten_kills_leave_the_same_manifest_to_the_byte(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for number in range(KILLS + 2):
        frames = moving(9 + number, PHOTOGRAPHS[number % len(PHOTOGRAPHS)])
        listed(videos, f"{number:02d}.mp4", frames)
    listed(videos, "broken.mp4", b"no video")
    undisturbed = small_preset(tmp_path / "undisturbed", videos)
    expected = run(undisturbed)
    killed = small_preset(tmp_path / "killed", videos)
    run_stage(SOURCE_VIDEOS, killed, Silent())
    pause = random.Random(0)
    hits = [kill_after_the_next_file(killed, pause.uniform(0, 0.05)) for _ in range(KILLS)]
    assert any(hits)
    receipt = run(killed)
    assert receipt.digest == expected.digest
    assert outputs(killed, receipt.folder) == outputs(undisturbed, expected.folder)
    assert int(receipt.figures["clips kept"]) > KILLS
