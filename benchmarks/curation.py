"""What the filters see and miss on made clips, what near-duplicates are found, and what it costs.

python -m benchmarks.curation --clips 40
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from exvideo.clips.filters.footage import Footage
from exvideo.clips.filters.load import load_filters
from exvideo.clips.filters.names import OPTIONAL
from exvideo.clips.near_duplicates import near_pairs
from exvideo.clips.signature import hashes, signature
from exvideo.world import TRAIN_PHOTOGRAPHS, random_spec, render_clip

Frames = NDArray[np.uint8]
SIDE, COUNT, FPS, BITS = 192, 32, 24.0, 10


PHOTOGRAPHS = tuple(name for name in TRAIN_PHOTOGRAPHS if name != "rocket")
"""Without the one in which text can be read."""

VIEW = 0.45
"""Of the photograph's short side, what the frame shows: less would be magnified, and blurred."""

SHADOWS, DEPTH = 8, 0.14
"""Waves of brightness over a photograph, and how deep each is."""


def world(seed: int, count: int = COUNT, side: int = SIDE) -> Frames:
    """A clip unlike that of any other seed, though there are ten photographs only.

    The photograph is turned and mirrored, and lies below shadows that move with it.
    """
    spec = replace(random_spec(seed, PHOTOGRAPHS, fps=FPS, free=True), view=VIEW)
    frames = render_clip(spec, count, side, side, fps=FPS).frames
    rng = np.random.default_rng([seed, 17])
    length, angle, phase = rng.uniform((0.4, 0, 0), (2.5, 2 * np.pi, 2 * np.pi), (SHADOWS, 3)).T
    waves = length * np.exp(1j * angle)
    axis = (np.arange(side // 4) + 0.5) / (side // 4) - 0.5
    points = axis[None] + 1j * axis[:, None]
    shaded = np.empty_like(frames)
    for place, frame in enumerate(frames):
        turn, shift = spec.pose(spec.path_time(place / FPS))
        along = np.tensordot(waves.conj(), turn * points + shift, 0).real
        coarse = 1 + DEPTH * np.cos(2 * np.pi * along + phase[:, None, None]).sum(axis=0)
        light = cv2.resize(coarse.clip(0.3, 1.5), (side, side), interpolation=cv2.INTER_CUBIC)
        shaded[place] = np.clip(frame * light[..., None], 0, 255)
    turned = np.rot90(shaded, seed % 4, axes=(1, 2))
    return np.ascontiguousarray(turned[:, :, :: 1 if seed // 4 % 2 else -1])


def resized(frames: Frames, side: int) -> Frames:
    shrunk = [cv2.resize(f, (side, side), interpolation=cv2.INTER_AREA) for f in frames]
    return np.stack(shrunk).astype(np.uint8)


def jpeg(frames: Frames) -> Frames:
    coded = [cv2.imencode(".jpg", f, [cv2.IMWRITE_JPEG_QUALITY, 25])[1] for f in frames]
    return np.stack([cv2.imdecode(c, cv2.IMREAD_COLOR) for c in coded]).astype(np.uint8)


def at(frames: Frames, places: slice, value: int) -> Frames:
    changed = frames.copy()
    changed[places] = value
    return changed


def boxed(frames: Frames) -> Frames:
    changed = frames.copy()
    changed[:, : SIDE // 10] = changed[:, -SIDE // 10 :] = 16
    return changed


def shaken(frames: Frames) -> Frames:
    rng = np.random.default_rng(0)
    moved = [np.roll(f, rng.integers(-6, 7, 2), axis=(0, 1)) for f in frames]
    return np.stack(moved)[:, 6:-6, 6:-6]


def logo(frames: Frames) -> Frames:
    changed = frames.copy()
    changed[:, 8:30, -56:-8] = (250, 250, 40)
    return changed


def dissolved(one: Frames, other: Frames) -> Frames:
    """Over 12 frames in the middle."""
    share = np.clip((np.arange(COUNT) - COUNT / 2 + 6) / 12, 0, 1)[:, None, None, None]
    return ((1 - share) * one + share * other).astype(np.uint8)


def woven(frames: Frames) -> Frames:
    fields = frames[::2].copy()
    fields[:, 1::2] = frames[1::2, 1::2]
    return fields


def watermark(frames: Frames) -> Frames:
    font, white = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255)
    written = [cv2.putText(f.copy(), "PREVIEW", (24, 100), font, 0.8, white, 2) for f in frames]
    return ((frames.astype(int) + np.stack(written)) // 2).astype(np.uint8)


DAMAGE: dict[str, Callable[[int], Frames]] = {
    "sound": world,
    "still": lambda seed: np.repeat(world(seed, 1), COUNT, axis=0),
    "one grey": lambda seed: at(world(seed), slice(None), 90),
    "one black frame": lambda seed: at(world(seed), slice(9, 10), 0),
    "two white frames": lambda seed: at(world(seed), slice(9, 11), 255),
    "borders": lambda seed: boxed(world(seed)),
    "shaking by 6 of 192 px": lambda seed: shaken(world(seed, side=SIDE + 12)),
    "out of focus (σ 8 px)": lambda seed: np.stack(
        [cv2.GaussianBlur(f, (0, 0), 8) for f in world(seed)]
    ).astype(np.uint8),
    "overexposed": lambda seed: np.clip(world(seed).astype(int) + 200, 0, 255).astype(np.uint8),
    "underexposed": lambda seed: (world(seed) * 0.04).astype(np.uint8),
    "a dissolve": lambda seed: dissolved(world(seed), world(seed + 1000)),
    "interlaced": lambda seed: woven(world(seed, 2 * COUNT)),
    "a watermark": lambda seed: watermark(world(seed)),
    "12 frames a second as 24": lambda seed: np.repeat(world(seed, COUNT // 2), 2, axis=0),
    "24 frames a second as 30": lambda seed: world(seed)[(np.arange(COUNT) * 0.8).astype(int)],
}

COPIES: dict[str, Callable[[int], Frames]] = {
    "encoded again": lambda seed: jpeg(world(seed)),
    "half the size": lambda seed: resized(world(seed), SIDE // 2),
    "cropped by 4% a side": lambda seed: resized(world(seed)[:, 8:-8, 8:-8], SIDE),
    "1.25 times as fast": lambda seed: world(seed, COUNT * 5 // 4)[
        np.linspace(0, COUNT * 5 // 4 - 1, COUNT).astype(int)
    ],
    "with a logo": lambda seed: logo(world(seed)),
}


def damage(clips: int) -> None:
    filters = load_filters(OPTIONAL)
    print("\n| made clips | rejected | by |\n|---|---|---|")
    for name, make in DAMAGE.items():
        reasons: dict[str, int] = {}
        for seed in range(clips):
            footage = Footage(make(seed), FPS)
            for found in filters:
                if not found.passes(found.score(footage), found.threshold):
                    reasons[found.fault] = reasons.get(found.fault, 0) + 1
                    break
        by = ", ".join(f"{count} {fault}" for fault, count in reasons.items())
        print(f"| {name} | {sum(reasons.values())} of {clips} | {by} |", flush=True)


def near_duplicates(clips: int) -> None:
    made = [np.stack([_hashes(world(seed)) for seed in range(clips)])]
    made += [np.stack([_hashes(make(s)) for s in range(clips)]) for make in COPIES.values()]
    table = np.concatenate(made)
    pairs = near_pairs(table, np.arange(len(table)), BITS)
    right = [(a, b) for a, b, _ in pairs if a % clips == b % clips]
    precision = len(right) / len(pairs)
    print("\n| copy | found |\n|---|---|")
    for k, name in enumerate(COPIES, start=1):
        found = sum(a < clips and b // clips == k for a, b in right)
        print(f"| {name} | {found} of {clips} |")
    print(f"\nprecision over the {len(pairs)} pairs that are found: {precision:.4f}")
    rows = np.random.default_rng(0).integers(0, 2**63, (20_000, *table.shape[1:]), np.uint64)
    for count in (5_000, 20_000):
        started = time.perf_counter()
        near_pairs(rows[:count], np.arange(count), BITS)
        print(f"search among {count} clips: {time.perf_counter() - started:.2f} s")


def _hashes(frames: Frames) -> NDArray[np.uint64]:
    return hashes(signature(Footage(frames, FPS)))


def costs() -> None:
    cv2.setNumThreads(1)
    count = 64
    footage = Footage(world(0, count, 512), FPS)
    print("\n| filter | ms a frame at 512x512 |\n|---|---|")
    total = 0.0
    for name, run in [
        *((found.name, found.score) for found in load_filters(OPTIONAL)),
        ("signature", signature),
    ]:
        run(Footage(footage.frames[:2], FPS))  # loads what it needs
        started = time.perf_counter()
        run(footage)
        spent = 1000 * (time.perf_counter() - started) / count
        total += spent
        print(f"| {name} | {spent:.2f} |")
    print(f"| all | {total:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=40, help="of each kind")
    clips = parser.parse_args().clips
    costs()
    damage(clips)
    near_duplicates(clips)


if __name__ == "__main__":
    main()
