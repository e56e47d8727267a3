"""A small seeded world: photographs in known motion, with exact optical flow.

`random_spec` draws a `WorldClip`, `render_clip` turns it into frames and ground truth.
"""

from exvideo.world.photographs import HELD_OUT_PHOTOGRAPHS, TRAIN_PHOTOGRAPHS, load_photograph
from exvideo.world.render import RenderedClip, render_clip
from exvideo.world.spec import SPEED, Layer, WorldClip, motion_bucket_id, random_spec

__all__ = [
    "HELD_OUT_PHOTOGRAPHS",
    "SPEED",
    "TRAIN_PHOTOGRAPHS",
    "Layer",
    "RenderedClip",
    "WorldClip",
    "load_photograph",
    "motion_bucket_id",
    "random_spec",
    "render_clip",
]
