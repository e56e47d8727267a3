import numpy as np
import pytest

from exvideo.clips.filters.contrast import contrast
from exvideo.clips.filters.footage import Footage
from exvideo.clips.filters.motion import motion
from exvideo.world import TRAIN_PHOTOGRAPHS, random_spec, render_clip


def test_motion_and_contrast_are_their_definitions() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, 16, 24, 3), np.uint8)
    pixels = frames / 127.5 - 1.0
    found = Footage(frames, 24.0)
    assert motion(found) == pytest.approx(pixels.std(axis=0, ddof=1).mean())
    assert contrast(found) == pytest.approx(pixels.std(axis=(1, 2)).mean())


def test_a_coloured_wall_has_neither_motion_nor_contrast() -> None:
    wall = np.broadcast_to(np.array([200, 30, 90], np.uint8), (4, 32, 32, 3))
    found = Footage(np.ascontiguousarray(wall), 24.0)
    assert (motion(found), contrast(found), found.flow.speed) == pytest.approx((0, 0, 0), abs=1e-6)


@pytest.mark.parametrize("speed", [0.005, 0.015, 0.03])
def test_the_flow_speed_is_near_the_true_one(speed: float) -> None:
    spec = random_spec(1, TRAIN_PHOTOGRAPHS[:1], fps=24, speed=speed, max_layers=0)
    clip = render_clip(spec, 6, 64, 64, fps=24)
    assert Footage(clip.frames, 24.0).flow.speed == pytest.approx(clip.speed, rel=0.15)
