"""Borders on made videos: where the picture lies, and where there is no border."""

import cv2
import numpy as np
import pytest

from exvideo.video.borders import Borders
from exvideo.video.crop import Crop
from exvideo.world import TRAIN_PHOTOGRAPHS, random_spec, render_clip

HEIGHT, WIDTH = 720, 1280


def seen(frames: np.ndarray) -> Crop:
    borders = Borders(frames[0])
    for frame in frames:
        borders.see(frame)
    return borders.picture(HEIGHT, WIDTH)


def overlap_over_union(one: Crop, other: Crop) -> float:
    masks = np.zeros((2, HEIGHT, WIDTH), bool)
    for mask, crop in zip(masks, (one, other), strict=True):
        mask[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width] = True
    return float((masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum())


@pytest.mark.parametrize("level", [0, 16, 255])
@pytest.mark.parametrize(
    "picture",
    [
        Crop(91, 0, 538, 1280),
        Crop(0, 160, 720, 960),
        Crop(45, 83, 630, 1114),
        Crop(0, 0, 650, 1280),
    ],
)
def test_the_picture_is_found_within_its_borders(picture: Crop, level: int) -> None:
    spec = random_spec(2, TRAIN_PHOTOGRAPHS[:3])
    content = render_clip(spec, 8, picture.height // 2, picture.width // 2).frames
    noise = np.random.default_rng(0)
    frames = []
    for part in content:
        whole = np.full((HEIGHT, WIDTH, 3), level, np.uint8)
        rows = slice(picture.top, picture.top + picture.height)
        columns = slice(picture.left, picture.left + picture.width)
        whole[rows, columns] = cv2.resize(part, (picture.width, picture.height))
        noisy = np.clip(whole + noise.integers(-3, 4, whole.shape), 0, 255).astype(np.uint8)
        frames.append(cv2.resize(noisy, (256, 144), interpolation=cv2.INTER_AREA))
    assert overlap_over_union(seen(np.stack(frames)), picture) >= 0.98


@pytest.mark.parametrize("seed", range(8))
def test_a_picture_without_borders_is_left_whole(seed: int) -> None:
    frames = render_clip(random_spec(seed, TRAIN_PHOTOGRAPHS), 8, 144, 256).frames
    assert seen(frames) == Crop(0, 0, HEIGHT, WIDTH)


def test_a_sky_that_fades_into_the_picture_is_no_border() -> None:
    ramp = np.clip(np.arange(144) * 4 - 200, 0, 255).astype(np.uint8)
    frames = np.broadcast_to(ramp[None, :, None, None], (4, 144, 256, 3))
    assert seen(np.ascontiguousarray(frames)) == Crop(0, 0, HEIGHT, WIDTH)


def test_a_black_video_has_no_border() -> None:
    assert seen(np.zeros((4, 144, 256, 3), np.uint8)) == Crop(0, 0, HEIGHT, WIDTH)
