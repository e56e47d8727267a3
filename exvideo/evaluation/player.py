"""A clip as a page plays it: a small video, and its middle column over time."""

import tempfile
from pathlib import Path

import cv2
import numpy as np

from exvideo.evaluation.figure import cell_size, resized, time_slice
from exvideo.html_page import data_url
from exvideo.video.write import write_mp4

SIDE = 256
"""Px of a player's longer side: what a phone shows two of, and 128 frames take about 200 kB."""

CRF = 24
SLICE_HEIGHT = 96


def video_url(frames: np.ndarray, fps: float) -> str:
    """uint8 [T, H, W, 3] as an H.264 MP4 of at most `SIDE` pixels, in a data URL."""
    height, width = (max(2, side) for side in cell_size(frames, SIDE))
    small = np.stack([resized(frame, height, width) for frame in frames])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        write_mp4(path, small, fps, CRF)
        return data_url(path.read_bytes(), "video/mp4")


def slice_url(frames: np.ndarray) -> str:
    """The x-t slice of the whole clip, time to the right, as a JPEG in a data URL."""
    # At least a pixel a frame: the browser fits it to its player.
    picture = time_slice(frames, SLICE_HEIGHT, max(len(frames), SIDE))
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return data_url(jpeg.tobytes(), "image/jpeg")
