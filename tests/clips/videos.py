"""Small videos with known content, and the rows that list them."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exvideo.clips.manifest import Clip
from exvideo.config import ClipsConfig
from exvideo.sources.manifest import SourceVideo
from exvideo.video.write import write_mp4
from exvideo.world import random_spec, render_clip

FPS = 24
SIDE = 48


def moving(num_frames: int, photograph: str = "astronaut", side: int = SIDE) -> NDArray[np.uint8]:
    """A photograph under a slowly moving camera, uint8 [T,side,side,3]."""
    spec = random_spec(3, (photograph,), fps=FPS, speed=0.01, max_layers=0)
    return render_clip(spec, num_frames, side, side, fps=FPS).frames


def listed(
    folder: Path,
    name: str,
    frames: NDArray[np.uint8] | bytes,
    video_id: str | None = None,
    piece: int = 0,
    held_out: bool | None = None,
) -> SourceVideo:
    """Write a video, or any bytes, and its row."""
    path = folder / name
    if isinstance(frames, bytes):
        path.write_bytes(frames)
    else:
        write_mp4(path, frames, FPS, crf=4)
    content = path.read_bytes()
    return SourceVideo(
        video_id=video_id or name,
        piece=piece,
        path=name,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        source="test",
        licence_claimed="none",
        held_out=held_out,
    )


def config(**changes: object) -> ClipsConfig:
    settings = {
        "num_frames": 8,
        "height": 32,
        "width": 32,
        "fps": None,
        "max_clips_per_video": 100,
        "scene_threshold": 27.0,
        "filters": {"motion": 0.005},
        "held_out_videos": 0.0,
        "decode_timeout_s": 60.0,
        "workers": 1,
    }
    return ClipsConfig.model_validate(settings | changes)


def kinds(clips: list[Clip]) -> list[str]:
    """Each clip's kind of reason, `kept` where there is none."""
    return [clip.reason_kind or clip.status for clip in clips]
