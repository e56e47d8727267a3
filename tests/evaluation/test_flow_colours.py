"""Middlebury's colours, against torchvision's implementation."""

import numpy as np
import torch
from torchvision.utils import flow_to_image

from exvideo.evaluation.flow_colours import colour_wheel, flow_colours, wheel_image


def random_flow() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 24, 32)).astype(np.float32)


def test_colours_equal_torchvisions_when_the_scale_is_its_maximum() -> None:
    flow = random_flow()
    reference = flow_to_image(torch.from_numpy(flow)).permute(1, 2, 0).numpy()
    ours = flow_colours(flow, float(np.linalg.norm(flow, axis=0).max()))
    assert np.abs(ours.astype(int) - reference.astype(int)).max() <= 1


def test_the_same_motion_has_the_same_colour_in_every_clip() -> None:
    slow = np.full((2, 4, 4), 0.5)
    beside_fast = np.concatenate([slow, np.full((2, 4, 4), 9.0)], axis=1)
    np.testing.assert_array_equal(flow_colours(slow, 4.0), flow_colours(beside_fast, 4.0)[:4])


def test_rest_is_white_and_the_scale_saturates() -> None:
    assert (flow_colours(np.zeros((2, 3, 3)), 1.0) == 255).all()
    fast, faster = (flow_colours(np.full((2, 3, 3), speed), 2.0) for speed in (2.0, 20.0))
    np.testing.assert_array_equal(fast, faster)


def test_the_wheel_has_middleburys_55_hues() -> None:
    wheel = colour_wheel()
    assert wheel.shape == (55, 3)
    corners = wheel[[0, 15, 21, 25, 36, 49]] / 255
    assert ["".join("01"[int(part)] for part in corner) for corner in corners] == [
        "100", "110", "010", "011", "001", "101",
    ]  # fmt: skip


def test_the_legend_shows_each_direction_at_its_own_angle() -> None:
    wheel = wheel_image(65)
    right = np.zeros((2, 1, 1))
    right[0] = 1
    np.testing.assert_allclose(
        wheel[32, 63, :3].astype(int), flow_colours(right, 1.0)[0, 0].astype(int), atol=10
    )
    assert wheel[0, 0, 3] == 0, "clear outside the circle"
