"""The contact sheet and the video: what they show, read back from the pictures."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from exvideo.evaluation import side_by_side
from exvideo.evaluation.contact_sheet import CELL, Layout, write_contact_sheet
from exvideo.evaluation.figure import (
    Block,
    Row,
    cell_size,
    flow_scale,
    resized,
    shown_frames,
    time_slice,
)
from exvideo.evaluation.flow import ClipFlow
from exvideo.evaluation.flow_colours import flow_colours
from exvideo.evaluation.numbers import measure

COUNT = 6


def row(phase: str, speed: float, seed: int = 0) -> Row:
    frames = np.random.default_rng(seed).integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)
    flow = np.zeros((COUNT - 1, 2, 32, 32), np.float32)
    flow[:, 0] = speed
    all_flow = ClipFlow(flow, np.ones((COUNT - 1, 32, 32), bool), flow, flow)
    numbers = measure(
        frames, all_flow, frames[0], 4, phase=phase, step=3, clip_id="f" * 16, seed=seed
    )
    return Row(frames, flow, numbers)


@pytest.fixture
def blocks() -> list[Block]:
    given = np.full((32, 32, 3), 90, np.uint8)
    real = row("real", 1.0).numbers
    return [Block(given, real, [row("before", 4.0, seed), row("after", 1.0)]) for seed in (0, 1)]


def test_all_rows_share_one_scale_that_covers_99_percent(blocks: list[Block]) -> None:
    assert flow_scale(blocks) == 4.0
    assert flow_scale([replace(block, rows=block.rows[1:]) for block in blocks]) == 1.0


def test_the_sheet_shows_each_frame_with_its_flow_on_the_right(
    blocks: list[Block], tmp_path: Path
) -> None:
    path = tmp_path / "sheet.png"
    write_contact_sheet(path, blocks, 3, "title", "raft")
    picture = np.asarray(Image.open(path).convert("RGB"))
    layout = Layout(3, [2, 2], CELL, CELL)
    assert picture.shape[:2] == (layout.height, layout.width)
    for place, block in enumerate(blocks):
        for number, shown in enumerate(block.rows):
            y = layout.top(place, number)
            for column, frame in enumerate(shown_frames(COUNT, 3)):
                x = layout.pair(column)
                cell = picture[y : y + CELL, x : x + 2 * CELL]
                expected = resized(shown.frames[frame], CELL, CELL)
                np.testing.assert_array_equal(cell[:, :CELL], expected)
                colour = flow_colours(shown.flow[frame], 4.0)[0, 0]
                assert (cell[:, CELL:] == colour).all()


def test_shown_frames_run_from_the_first_to_the_last_that_has_a_next() -> None:
    assert shown_frames(32, 6) == [0, 6, 12, 18, 24, 30]
    assert shown_frames(2, 1) == [0]


def test_cells_keep_the_aspect_ratio() -> None:
    assert cell_size(np.zeros((1, 64, 64, 3)), 128) == (128, 128)
    assert cell_size(np.zeros((1, 576, 1024, 3)), 128) == (72, 128)


def test_the_slice_over_time_keeps_frames_apart() -> None:
    frames = np.zeros((4, 8, 8, 3), np.uint8)
    frames[1::2] = 200
    strip = time_slice(frames, 16, 40)
    assert strip.shape == (16, 40, 3)
    assert [int(strip[8, x, 0]) for x in (5, 15, 25, 35)] == [0, 200, 0, 200]


def test_the_video_plays_all_rows_at_once_and_long_enough(
    blocks: list[Block], tmp_path: Path
) -> None:
    path = tmp_path / "grid.mp4"
    side_by_side.write_side_by_side(path, blocks, fps=5)
    with av.open(str(path)) as container:
        played = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(played) == 4 * (COUNT - 1), "3.5 s at 5 frames a second, in whole repeats"
    cell = side_by_side.CELL
    x, y = side_by_side._corner(1, 1, cell, cell)
    shown = played[2][y + 8 : y + cell - 8, x + cell + 8 : x + 2 * cell - 8]
    colour = flow_colours(blocks[1].rows[1].flow[2], 4.0)[0, 0]
    assert np.abs(shown.astype(int) - colour).mean() < 6
