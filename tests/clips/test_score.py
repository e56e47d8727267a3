import numpy as np
import pytest

from exvideo.clips.score import score
from exvideo.world import TRAIN_PHOTOGRAPHS, random_spec, render_clip


def test_motion_and_contrast_are_their_definitions() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, 16, 24, 3), np.uint8)
    pixels = frames / 127.5 - 1.0
    found = score(frames)
    assert found.motion == pytest.approx(pixels.std(axis=0, ddof=1).mean())
    assert found.contrast == pytest.approx(pixels.std(axis=(1, 2)).mean())


def test_a_coloured_wall_has_neither_motion_nor_contrast() -> None:
    wall = np.broadcast_to(np.array([200, 30, 90], np.uint8), (4, 32, 32, 3))
    found = score(np.ascontiguousarray(wall))
    assert (found.motion, found.contrast, found.flow_speed) == pytest.approx((0, 0, 0), abs=1e-6)


@pytest.mark.parametrize("speed", [0.005, 0.015, 0.03])
def test_the_flow_speed_is_near_the_true_one(speed: float) -> None:
    spec = random_spec(1, TRAIN_PHOTOGRAPHS[:1], fps=24, speed=speed, max_layers=0)
    clip = render_clip(spec, 6, 64, 64, fps=24)
    assert score(clip.frames).flow_speed == pytest.approx(clip.speed, rel=0.15)
