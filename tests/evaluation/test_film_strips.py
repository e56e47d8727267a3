"""The figure of unlike clips and its video: what they show, read back from the pictures."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from exvideo.evaluation import film_strips, playing_strips
from exvideo.evaluation.film_strips import Scene, Strip, shown_scenes, write_film_strips
from exvideo.evaluation.flow_colours import flow_colours
from exvideo.evaluation.playing_strips import write_playing_strips


def strip(name: str, height: int, width: int, count: int, fps: float, share: float) -> Strip:
    """Every frame has a grey of its own; all moves right by a share of the picture's size."""
    frames = np.empty((count, height, width, 3), np.uint8)
    frames[:] = (10 + 230 * np.arange(count) / count)[:, None, None, None]
    flow = np.zeros((count - 1, 2, height, width), np.float32)
    flow[:, 0] = share * (height * width) ** 0.5
    return Strip(name, frames, flow, fps, {"jitter": 0.5, "flow_speed": 1.0})


@pytest.fixture
def scene() -> Scene:
    wide = strip("wide", 32, 64, 9, 24, 0.02)
    return Scene("a prompt", [wide, strip("tall", 64, 32, 5, 4, 0.02)])


def test_cells_have_the_clips_aspects_and_one_area(scene: Scene) -> None:
    wide, tall = (it.cell_of(100 * 100) for it in scene.strips)
    assert wide == tall[::-1] == (70, 142)


def test_frames_stand_above_their_flow_whose_colours_compare_across_sizes(
    scene: Scene, tmp_path: Path
) -> None:
    write_film_strips(tmp_path / "a.png", [scene], 3, "title", "subtitle", "raft")
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"))
    for (y, _, shown), frames in zip(
        film_strips._places([scene]), ([0, 4, 7], [0, 2, 3]), strict=True
    ):
        height, width = shown.cell_of(film_strips.AREA)
        for column, frame in enumerate(frames):
            x = 36 + film_strips.LABEL + column * (176 + film_strips.GAP)
            cell = picture[y : y + 2 * height + 2, x : x + width]
            assert (cell[:height] == shown.frames[frame, 0, 0]).all()
            # Both move by the same share of their own size, which is the full colour.
            flow = np.array([0.02, 0], np.float32)[:, None, None]
            assert (cell[height + 2 :] == flow_colours(flow, 0.02)[0, 0]).all()


def test_a_second_is_equally_wide_in_all_slices(scene: Scene, tmp_path: Path) -> None:
    write_film_strips(tmp_path / "a.png", [scene], 3, "title", "subtitle", "raft")
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"))
    x = 36 + film_strips.LABEL + 3 * (176 + film_strips.GAP) + film_strips.GAP
    (wide, _, _), (tall, _, _) = film_strips._places([scene])
    drawn = [(picture[y + 5, x : x + film_strips.SLICE] < 250).all(axis=-1) for y in (wide, tall)]
    # 9 frames at 24 a second are 0.375 s, 5 at 4 are 1.25 s.
    assert [it.sum() for it in drawn] == [57, film_strips.SLICE]


def test_each_clip_plays_at_its_own_rate_and_begins_again(scene: Scene, tmp_path: Path) -> None:
    write_playing_strips(tmp_path / "a.mp4", [scene])
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 24
        played = [it.to_ndarray(format="rgb24") for it in container.decode(video=0)]
    assert len(played) == 84, "3.5 s"
    for shown, x, y in playing_strips._layout([scene]):
        height, width = shown.cell_of(playing_strips.AREA)
        for number in (0, 7, 8, 30, 83):
            # The last frame has no flow, and isn't shown.
            frame = int(number / 24 * shown.fps + 1e-6) % (len(shown.frames) - 1)
            cell = played[number][y + 8 : y + height - 8, x + 8 : x + width - 8]
            assert abs(cell.mean() - shown.frames[frame].mean()) < 3


def test_a_figure_shows_as_many_scenes_as_people_can_look_at() -> None:
    assert shown_scenes(2, 3) == 2
    assert shown_scenes(4, 12) == 2
    assert shown_scenes(4, 40) == 1
