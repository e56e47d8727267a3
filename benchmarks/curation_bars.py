"""The stages 1 and 2 on made files: is anything lost, damage kept, or what is sound rejected?

python -m benchmarks.curation_bars --files 1000 [--first-seed 1000000]

A twentieth of the files is of each kind below; the rest is sound, and so are clips beside a cut, a
dissolve or a border. Damaged bits count as kept where a kept clip's frame is below 40 dB.
Thresholds are chosen on files of other seeds than those that judge them.
"""

import argparse
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks.curation import COPIES, COUNT, DAMAGE, FPS, SIDE, Frames, world
from benchmarks.decoding_damage import damaged
from exvideo.clips.funnel import funnel_table
from exvideo.clips.manifest import Clip, read_clips
from exvideo.clips.read import read_clip
from exvideo.config import Preset, load_preset
from exvideo.progress import Silent
from exvideo.receipt import Receipt, stage_folder
from exvideo.video.decoder import Decoder
from exvideo.video.write import write_mp4
from pipelines.clips import STAGE as CLIPS
from pipelines.source_videos import STAGE as SOURCE_VIDEOS
from pipelines.stage import run_stage

BAR, PICTURE = 24, 224
"""Px of a border, and of the picture within."""

SCENE = 44
"""Frames before and behind a cut or a dissolve, of 12 frames: a clip fits on both sides."""

FAITHFUL_DB = 40.0
SHARE = 0.05


def bordered(seed: int) -> Frames:
    """Bars above and below, or at the sides."""
    frames = world(seed, side=PICTURE)
    bar = ((0, 0), (BAR, BAR), (0, 0), (0, 0)) if seed % 2 else ((0, 0), (0, 0), (BAR, BAR), (0, 0))
    return np.pad(frames, bar, constant_values=16)


def cut(seed: int) -> Frames:
    return np.concatenate([world(seed, SCENE), world(seed + 1, SCENE)])


def dissolve(seed: int) -> Frames:
    one, other = world(seed, SCENE + 12), world(seed + 1, SCENE + 12)
    share = np.linspace(0, 1, 14)[1:-1, None, None, None]
    mixed = ((1 - share) * one[SCENE:] + share * other[:12]).astype(np.uint8)
    return np.concatenate([one[:SCENE], mixed, other[12:]])


def exposed(seed: int) -> Frames:
    """Half of the picture burns out, or all of it is nearly black."""
    frames = world(seed)
    if seed % 2:
        return (frames * 0.04).astype(np.uint8)
    gain = 255 / max(1, np.percentile(frames.min(axis=3), 35))
    return np.clip(frames * gain, 0, 255).astype(np.uint8)


def repeated(seed: int) -> Frames:
    kinds = ("12 frames a second as 24", "24 frames a second as 30")
    return DAMAGE[kinds[seed % 2]](seed)


def flipped(content: bytes, seed: int) -> bytes:
    return damaged(content, seed, 64)


def zeroed(content: bytes, seed: int) -> bytes:
    return damaged(content, seed, 0)


def ends_early(content: bytes, seed: int) -> bytes:
    return content[: len(content) * (5 + seed % 4) // 10]


BYTES: dict[str, Callable[[bytes, int], bytes]] = {
    "64 flipped bits": flipped,
    "4 KiB of zeros": zeroed,
    "ends early": ends_early,
}

PICTURES: dict[str, Callable[[int], Frames]] = {
    "still": DAMAGE["still"],
    "one grey": DAMAGE["one grey"],
    "one black frame": DAMAGE["one black frame"],
    "two white frames": DAMAGE["two white frames"],
    "shaking": DAMAGE["shaking by 6 of 192 px"],
    "out of focus": DAMAGE["out of focus (σ 8 px)"],
    "exposure": exposed,
    "interlaced": DAMAGE["interlaced"],
    "repeated frames": repeated,
}

SOUND, BORDER, CUT, DISSOLVE = "sound", "border", "hard cut", "dissolve"
SAME, NEAR = "the same file", "near-duplicate"
KINDS = [*BYTES, *PICTURES, BORDER, CUT, DISSOLVE, SAME, NEAR]


@dataclass(frozen=True)
class Made:
    """A file to make."""

    kind: str
    number: int
    seed: int

    @property
    def name(self) -> str:
        """Sorted behind what it may be a copy of."""
        place = int(self.kind != SOUND)
        return f"{place}-{self.kind.replace(' ', '-')}-{self.number:04d}.mp4"


def planned(files: int, first: int) -> list[Made]:
    """Sound files first: duplicates are made from them. Seeds begin at `first`, an even one."""
    each = round(files * SHARE)
    made = [Made(SOUND, n, first + n) for n in range(files - each * len(KINDS))]
    for place, kind in enumerate(KINDS, start=1):
        copies = kind in (SAME, NEAR)
        # Another seed is another picture; a copy's is that of a sound file.
        seeds = [
            first + (n + each * (kind == NEAR) if copies else 10_000 * place + 4 * n)
            for n in range(each)
        ]
        made += [Made(kind, n, seed + (n % 2 and not copies)) for n, seed in enumerate(seeds)]
    return made


def make(folder: Path, made: Made) -> None:
    path = folder / made.name
    if made.kind == SAME:
        shutil.copyfile(folder / Made(SOUND, made.number, made.seed).name, path)
    elif made.kind in BYTES:
        write_mp4(path, world(made.seed), FPS)
        shutil.copyfile(path, folder.parent / "clean" / made.name)
        path.write_bytes(BYTES[made.kind](path.read_bytes(), made.seed))
    else:
        write_mp4(path, _frames(made), FPS)


def _frames(made: Made) -> Frames:
    if made.kind == NEAR:
        copies = [make for name, make in COPIES.items() if name != "half the size"]
        return copies[made.number % len(copies)](made.seed)
    others = {SOUND: world, BORDER: bordered, CUT: cut, DISSOLVE: dissolve}
    return {**PICTURES, **others}[made.kind](made.seed)


def preset_at(root: Path) -> Preset:
    return load_preset(
        "tiny",
        {
            "storage.root": str(root / "out"),
            "source": {"kind": "local", "paths": [str(root / "videos")]},
            "clips.num_frames": COUNT,
            "clips.height": SIDE,
            "clips.width": SIDE,
            "clips.scene_threshold": 27.0,
            "clips.near_duplicate_bits": 10,
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    files = planned(options.files, options.first_seed)
    with tempfile.TemporaryDirectory(prefix="curation-") as folder:
        root = Path(folder)
        (root / "videos").mkdir()
        (root / "clean").mkdir()
        started = time.perf_counter()
        copies = [made for made in files if made.kind == SAME]
        with ProcessPoolExecutor(2) as pool:
            makes = partial(make, root / "videos")
            list(pool.map(makes, [made for made in files if made.kind != SAME], chunksize=8))
        for made in copies:
            make(root / "videos", made)
        print(f"{len(files)} files made in {time.perf_counter() - started:.0f} s", flush=True)
        preset = preset_at(root)
        receipts = [run_stage(stage, preset, Silent()) for stage in (SOURCE_VIDEOS, CLIPS)]
        _report(files, root, preset, receipts)


def _report(files: list[Made], root: Path, preset: Preset, receipts: list[Receipt]) -> None:
    here = stage_folder(preset, "clips")
    clips = read_clips(here / receipts[1].folder / receipts[1].files["manifest"])
    rows: dict[str, list[Clip]] = {made.name: [] for made in files}
    for clip in clips:
        rows[Path(clip.pieces[0].path).name].append(clip)
    print("\n| made | files | clips kept | wrongly | sound ones rejected | rejected by |")
    print("|---|---|---|---|---|---|")
    bad = rejected = sound = 0
    said: list[str] = []
    with Decoder(60) as decoder:
        for kind in [SOUND, *KINDS]:
            its = [made for made in files if made.kind == kind]
            kept = [(m, c) for m in its for c in rows[m.name] if c.status == "kept"]
            wrong = [(m, c) for m, c in kept if not _may_stay(m, c, root, decoder)]
            reasons = Counter(c.reason_kind for m in its for c in rows[m.name] if c.reason_kind)
            there = SOUND_CLIPS.get(kind, 0) * len(its)
            lost = max(0, there - len(kept) + len(wrong))
            bad, rejected, sound = bad + len(wrong), rejected + lost, sound + there
            by = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
            print(f"| {kind} | {len(its)} | {len(kept)} | {len(wrong)} | {lost} | {by} |")
            said += [f"kept: {m.name} from {c.pieces[0].start_frame} on" for m, c in wrong]
            if there:
                said += [
                    f"rejected: {m.name}: {c.reason}" for m in its for c in rows[m.name] if c.reason
                ]
    unjudged = sum(not found for found in rows.values())
    print(f"\nfiles without a row: {unjudged} of {len(files)}")
    print(f"kept of {len(files)} files and should not be: {bad}")
    print(f"rejected of {sound} sound clips: {rejected}\n")
    print(*said, sep="\n")
    print(funnel_table(clips))
    for receipt in receipts:
        print(f"{receipt.stage}: {receipt.seconds:.0f} s, {receipt.figures}")


def _may_stay(made: Made, clip: Clip, root: Path, decoder: Decoder) -> bool:
    """Whether a kept clip of the file is one to keep."""
    start = clip.pieces[0].start_frame
    end = start + clip.num_frames
    if made.kind in PICTURES or made.kind in (SAME, NEAR):
        return False
    if made.kind == CUT:
        return not start < SCENE < end
    if made.kind == DISSOLVE:
        return end <= SCENE or start >= SCENE + 12
    if made.kind == BORDER:
        return _iou(made, clip) >= 0.98
    if made.kind in BYTES:
        return _worst_db(clip, root, made, decoder) >= FAITHFUL_DB
    return True


SOUND_CLIPS = {SOUND: 1, BORDER: 1, CUT: 2, DISSOLVE: 2}
"""That a file of a kind holds."""


def _iou(made: Made, clip: Clip) -> float:
    """Along the side that has the bars."""
    across = made.seed % 2 == 1
    start, size = (clip.crop_top, clip.crop_height) if across else (clip.crop_left, clip.crop_width)
    shared = min(start + size, BAR + PICTURE) - max(start, BAR)
    return shared / (max(start + size, BAR + PICTURE) - min(start, BAR))


def _worst_db(clip: Clip, root: Path, made: Made, decoder: Decoder) -> float:
    """The worst frame's PSNR against the undamaged file's."""
    piece = clip.pieces[0].model_copy(update={"path": str(root / "clean" / made.name)})
    folder = stage_folder(preset_at(root), "source_videos")
    clean = clip.model_copy(update={"pieces": [piece]})
    one, other = (read_clip(c, folder, decoder).astype(np.float64) for c in (clip, clean))
    error = float(((one - other) ** 2).mean(axis=(1, 2, 3)).max())
    return float("inf") if not error else 10 * np.log10(255**2 / error)


if __name__ == "__main__":
    cv2.setNumThreads(1)
    main()
