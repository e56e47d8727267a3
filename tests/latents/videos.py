"""Small real videos, and clips over them."""

import hashlib
from pathlib import Path

import numpy as np

from exvideo.clips.manifest import Clip, ClipPiece
from exvideo.video.write import write_mp4

FRAMES, SIZE = 4, 64


def make_clip(folder: Path, clip_id: str) -> Clip:
    """A video of moving stripes that `clip_id` determines, and the clip that is all of it."""
    phase, angle = np.random.default_rng(list(clip_id.encode())).uniform(0, 6, 2)
    x, y = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    across = np.cos(angle) * x + np.sin(angle) * y
    stripes = [np.sin(phase + 0.3 * across + 0.5 * time) for time in range(FRAMES)]
    frames = np.repeat(np.stack(stripes)[..., None] * 100 + 128, 3, axis=3).astype(np.uint8)
    path = folder / f"{clip_id}.mp4"
    write_mp4(path, frames, fps=24)
    return Clip(
        clip_id=clip_id,
        video_id=clip_id,
        source="test",
        status="kept",
        split="train",
        pieces=[
            ClipPiece(
                path=path.name,
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
                start_frame=0,
                num_frames=FRAMES,
            )
        ],
        fps=24.0,
        crop_height=SIZE,
        crop_width=SIZE,
        num_frames=FRAMES,
        height=SIZE,
        width=SIZE,
        motion_bucket_id=127,
    )
