import cmath
import dataclasses

import cv2
import numpy as np
import pytest

from exvideo.world import (
    HELD_OUT_PHOTOGRAPHS,
    TRAIN_PHOTOGRAPHS,
    Layer,
    WorldClip,
    load_photograph,
    motion_bucket_id,
    random_spec,
    render_clip,
)

STILL = WorldClip(
    photograph="astronaut",
    centre=(0.5, 0.5),
    view=0.6,
    pan=0j,
    growth=0j,
    layers=(),
    light_angle=0.0,
    light_strength=0.0,
)
BLOB = Layer(
    photograph="brick",
    centre=(0.5, 0.5),
    view=0.6,
    radius=0.2,
    lobes=3,
    lobe_depth=0.0,
    position=0j,
    velocity=0j,
    spin=0.0,
)


def test_no_photograph_is_both_for_training_and_held_out() -> None:
    assert not set(TRAIN_PHOTOGRAPHS) & set(HELD_OUT_PHOTOGRAPHS)


@pytest.mark.parametrize("name", TRAIN_PHOTOGRAPHS + HELD_OUT_PHOTOGRAPHS)
def test_every_photograph_is_there_and_has_content(name: str) -> None:
    photograph = load_photograph(name)
    assert photograph.ndim == 3
    assert min(photograph.shape[:2]) >= 300
    assert photograph.std() > 10


def test_an_unknown_photograph_is_refused_by_name() -> None:
    with pytest.raises(KeyError, match="mona_lisa"):
        load_photograph("mona_lisa")


def test_the_same_seed_gives_the_same_bytes() -> None:
    first = render_clip(random_spec(7, TRAIN_PHOTOGRAPHS), 4, 32, 48)
    again = render_clip(random_spec(7, TRAIN_PHOTOGRAPHS), 4, 32, 48)
    assert first.frames.tobytes() == again.frames.tobytes()
    assert first.flow.tobytes() == again.flow.tobytes()
    other = render_clip(random_spec(8, TRAIN_PHOTOGRAPHS), 4, 32, 48)
    assert first.frames.tobytes() != other.frames.tobytes()


def test_shapes_are_those_that_were_asked_for() -> None:
    clip = render_clip(random_spec(0, TRAIN_PHOTOGRAPHS), 3, 32, 48)
    assert clip.frames.shape == (3, 32, 48, 3)
    assert clip.flow.shape == (2, 2, 32, 48)
    assert clip.valid.shape == (2, 32, 48)


def test_a_pan_shifts_the_picture_by_whole_pixels() -> None:
    spec = dataclasses.replace(STILL, pan=complex(2.0, 1.0) / 64 * 8)
    clip = render_clip(spec, 2, 64, 64, fps=8)
    # The camera goes right and down, so the picture goes left and up.
    np.testing.assert_allclose(clip.flow[0, 0], -2.0, atol=1e-4)
    np.testing.assert_allclose(clip.flow[0, 1], -1.0, atol=1e-4)
    shifted = clip.frames[0, 1:, 2:].astype(int)
    np.testing.assert_allclose(clip.frames[1, :-1, :-2], shifted, atol=1)


def test_rotation_and_zoom_follow_their_closed_form() -> None:
    spec = dataclasses.replace(STILL, growth=complex(0.2, 0.3))
    flow = render_clip(spec, 2, 64, 64, fps=4).flow[0]
    x, y = 10, 50
    point = complex(x + 0.5 - 32, y + 0.5 - 32)
    moved = point * cmath.exp(-complex(0.2, 0.3) / 4)
    assert complex(flow[0, y, x], flow[1, y, x]) == pytest.approx(moved - point, abs=1e-4)


def test_the_camera_s_flow_does_not_change_with_time() -> None:
    spec = random_spec(3, TRAIN_PHOTOGRAPHS, free=True, max_layers=0)
    flow = render_clip(spec, 12, 32, 32).flow
    np.testing.assert_allclose(flow, np.broadcast_to(flow[:1], flow.shape), atol=1e-3)


def test_everything_passes_by_to_the_left_first_and_nearer_layers_faster() -> None:
    for seed in range(8):
        spec = random_spec(seed, TRAIN_PHOTOGRAPHS, speed=0.02)
        flow = render_clip(spec, 2, 64, 64, fps=3).flow[0]  # half a swing: all the way out
        background = -0.02 * 64 * 8
        assert np.isclose(flow[0], background, atol=1e-3).any()
        np.testing.assert_allclose(flow[1], 0.0, atol=1e-3)


def test_a_swing_starts_from_rest_and_comes_back_to_the_very_same_picture() -> None:
    clip = render_clip(random_spec(5, TRAIN_PHOTOGRAPHS), 17, 64, 64, fps=24)
    speed = np.hypot(clip.flow[:, 0], clip.flow[:, 1]).mean(axis=(1, 2))
    assert speed.argmin() in (0, 7, 8, 15)
    np.testing.assert_array_equal(clip.frames[16], clip.frames[0])
    np.testing.assert_array_equal(clip.frames[11], clip.frames[5])
    assert (clip.frames[8] != clip.frames[0]).any()


def test_free_cameras_head_everywhere() -> None:
    flows = [
        render_clip(random_spec(seed, TRAIN_PHOTOGRAPHS, free=True, max_layers=0), 2, 32, 32).flow
        for seed in range(24)
    ]
    directions = [np.angle(complex(*flow[0].mean(axis=(1, 2)))) for flow in flows]
    assert set(np.digitize(directions, [-np.pi / 2, 0.0, np.pi / 2])) == {0, 1, 2, 3}


@pytest.mark.parametrize("seed", range(6))
def test_the_flow_carries_each_frame_onto_the_next(seed: int) -> None:
    spec = random_spec(seed, HELD_OUT_PHOTOGRAPHS, speed=0.03, free=True)
    clip = render_clip(spec, 4, 64, 64)
    y, x = np.mgrid[:64, :64].astype(np.float32)
    for t in range(3):
        following = clip.frames[t + 1].astype(np.float32)
        fetched = cv2.remap(following, x + clip.flow[t, 0], y + clip.flow[t, 1], cv2.INTER_CUBIC)
        # Outlines are mixtures of two motions, hence the erosion.
        inner = cv2.erode(clip.valid[t].astype(np.uint8), np.ones((5, 5)), borderValue=0) > 0
        error = np.abs(fetched - clip.frames[t])[inner].mean()
        unmoved = np.abs(following - clip.frames[t])[inner].mean()
        assert error < 0.45 * unmoved
        assert error < 6.0


@pytest.mark.parametrize("free", [False, True])
def test_speed_over_a_swing_is_the_number_that_was_asked_for(free: bool) -> None:
    for seed in range(4):
        spec = random_spec(seed, TRAIN_PHOTOGRAPHS, speed=1 / 32, free=free, max_layers=0)
        assert render_clip(spec, 17, 64, 64, fps=24).speed == pytest.approx(2.0, rel=0.03)


def test_motion_bucket_is_svd_s_default_at_one_pixel_a_frame() -> None:
    assert motion_bucket_id(0.0, 64) == 0
    assert motion_bucket_id(0.992, 64) == 127
    assert motion_bucket_id(4 * 0.992, 256) == 127
    assert motion_bucket_id(100.0, 64) == 255
    with pytest.raises(ValueError, match="speed"):
        motion_bucket_id(float("nan"), 64)


def test_a_moving_layer_covers_the_pixels_in_front_of_it() -> None:
    spec = dataclasses.replace(STILL, layers=(dataclasses.replace(BLOB, velocity=0.5 + 0j),))
    clip = render_clip(spec, 2, 64, 64, fps=8)  # 4 px to the right
    radius = 0.2 * 64
    assert clip.flow[0, 0, 32, 32] == pytest.approx(4.0, abs=1e-4)
    assert clip.valid[0, 32, 32]
    ahead, far = int(32 + radius + 2), int(32 + radius + 8)
    assert clip.flow[0, 0, 32, ahead] == 0.0
    assert not clip.valid[0, 32, ahead]
    assert clip.valid[0, 32, far]


def test_pixels_that_leave_the_frame_are_not_valid() -> None:
    clip = render_clip(dataclasses.replace(STILL, pan=0.5 + 0j), 2, 64, 64, fps=8)
    assert not clip.valid[0, :, :4].any()
    assert clip.valid[0, :, 4:].all()


def test_layers_bounce_off_the_borders() -> None:
    layer = dataclasses.replace(BLOB, velocity=1.7 - 0.9j)
    centres = np.array([-layer.pose(t / 8)[1] for t in range(200)])
    assert np.abs(centres.real).max() <= 0.4 + 1e-9
    assert np.abs(centres.imag).max() <= 0.4 + 1e-9
    steps = np.abs(np.diff(centres.real))
    assert np.median(steps) == pytest.approx(1.7 / 8)


def test_light_stays_with_the_frame() -> None:
    lit = dataclasses.replace(STILL, pan=0.4 + 0.2j, light_strength=0.3)
    dark = dataclasses.replace(lit, light_strength=0.0)
    bright = render_clip(lit, 6, 32, 32).frames.astype(float)
    plain = render_clip(dark, 6, 32, 32).frames.astype(float)
    mid = (plain > 60) & (plain < 160)
    ratio = np.where(mid, bright / np.maximum(plain, 1), np.nan)
    column = np.nanmean(ratio, axis=(0, 1, 3))
    expected = 1 + 0.6 * ((np.arange(32) + 0.5) / 32 - 0.5)
    np.testing.assert_allclose(column, expected, atol=0.02)


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="photograph"):
        random_spec(0, ())
    with pytest.raises(ValueError, match="cannot render"):
        render_clip(STILL, 0, 64, 64)
