import math

import pytest
import torch

from exvideo.models.positions import (
    PositionTable,
    TableInit,
    native_positions,
    ping_pong,
    resize_rows,
    walk_period,
)
from exvideo.models.svd import initial_table, transformers
from tests.models.tiny import full_size_unet


def original_walk(frame: int) -> int:
    """The published table's row for 25 native frames, as a closed form."""
    if frame < 25:
        return frame
    k = (frame - 25) % 40
    return 23 - k if k < 20 else k - 15


def test_the_walk_is_the_originals_for_25_native_frames():
    walk = native_positions(300, 25, "ping_pong").tolist()
    assert walk == [original_walk(frame) for frame in range(300)]
    assert walk[124:128] == [4, 5, 6, 7]
    assert not set(walk[25:]) & {0, 1, 2, 3}


def test_wrap_starts_again_at_zero():
    assert native_positions(7, 3, "wrap").tolist() == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize("native_frames", [2, 3, 8, 14, 16, 25, 32])
def test_the_walk_is_continuous_for_every_native_length(native_frames):
    walk = native_positions(5 * native_frames, native_frames, "ping_pong")
    assert walk[:native_frames].tolist() == list(range(native_frames))
    assert (walk.diff().abs() == 1).all()
    assert walk[native_frames:].min() == 4 * native_frames // 25
    assert walk.max() == native_frames - 1


def test_a_single_native_frame_is_repeated():
    assert native_positions(4, 1, "ping_pong").tolist() == [0, 0, 0, 0]


def test_a_table_shorter_than_native_is_its_beginning():
    assert native_positions(3, 25, "ping_pong").tolist() == [0, 1, 2]


def test_impossible_tables_are_refused():
    with pytest.raises(ValueError, match="num_frames=0"):
        native_positions(0, 25, "ping_pong")
    with pytest.raises(ValueError, match="'cyclic'"):
        native_positions(4, 2, "cyclic")


def test_initial_rows_are_the_sinusoid_to_the_bit():
    """Row f is [cos(pos w), sin(pos w)] with w_i = 10000^(-i / (C/2))."""
    positions = native_positions(128, 25, "ping_pong")
    for transformer in transformers(full_size_unet()).values():
        channels = transformer.in_channels
        half = channels // 2
        exponent = -math.log(10000) * torch.arange(half, dtype=torch.float32) / half
        angles = positions[:, None].float() * torch.exp(exponent)[None]
        expected = torch.cat([angles.cos(), angles.sin()], dim=1)
        transformer.proj_in.to_empty(device="cpu")
        assert torch.equal(initial_table(transformer, positions), expected)


def test_a_clip_longer_than_the_table_is_refused():
    table = PositionTable(torch.zeros(4, 2))
    assert table(3).shape == (3, 2)
    with pytest.raises(ValueError, match=r"5 frames, but the model is extended to 4"):
        table(5)


def test_resizing_keeps_trained_rows_and_walks_on_over_them():
    rows = torch.arange(128.0)[:, None]
    assert torch.equal(resize_rows(rows, 40, 25), rows[:40])
    longer = resize_rows(rows, 256, 25)[:, 0].tolist()
    assert longer == ping_pong(256, 128, 4)
    assert longer[126:130] == [126, 127, 126, 125]


def test_resizing_a_fresh_table_of_one_period_equals_a_longer_fresh_table():
    """Up to row 24 + 20 k the walk's mirror images coincide with its own continuation."""
    fresh = native_positions(65, 25, "ping_pong").float()[:, None]
    continued = resize_rows(fresh, 85, 25)
    assert torch.equal(continued[:, 0], native_positions(85, 25, "ping_pong").float())


@pytest.mark.parametrize("table_init", ["ping_pong", "wrap"])
@pytest.mark.parametrize("native_frames", [1, 2, 8, 14, 25])
def test_positions_come_again_after_a_period(native_frames: int, table_init: TableInit) -> None:
    period = walk_period(native_frames, table_init)
    walk = native_positions(6 * native_frames + 2, native_frames, table_init)[native_frames:]
    shorter = range(1, period)
    assert torch.equal(walk[period:], walk[:-period])
    assert not any(torch.equal(walk[lag:], walk[:-lag]) for lag in shorter)


def test_the_originals_period_is_40() -> None:
    assert walk_period(25, "ping_pong") == 40
