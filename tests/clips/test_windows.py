from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exvideo.clips.windows import Window, scenes, spans, spread, stride_for, windows

counts = st.integers(1, 300)


@given(start=st.integers(0, 50), length=counts, num_frames=st.integers(2, 40), stride=counts)
def test_windows_fit_share_no_frame_and_leave_no_room_for_another(
    start: int, length: int, num_frames: int, stride: int
) -> None:
    frames = range(start, start + length)
    found = windows(start, start + length, num_frames, stride)
    taken = [[w.start + k * w.stride for k in range(w.num_frames)] for w in found]
    assert all(frame in frames for window in taken for frame in window)
    assert all(before[-1] < after[0] for before, after in pairwise(taken))
    following = start + len(found) * num_frames * stride
    assert following + (num_frames - 1) * stride not in frames


@given(
    lengths=st.lists(st.integers(1, 70), min_size=1, max_size=6),
    start=st.integers(0, 60),
    num_frames=st.integers(1, 40),
    stride=st.integers(1, 90),
)
def test_spans_name_exactly_a_windows_frames(
    lengths: list[int], start: int, num_frames: int, stride: int
) -> None:
    every = [(piece, frame) for piece, n in enumerate(lengths) for frame in range(n)]
    wanted = [start + k * stride for k in range(num_frames)]
    if wanted[-1] >= len(every):
        return
    found = [
        (piece, first + k * stride)
        for piece, first, count in spans(Window(start, num_frames, stride), lengths)
        for k in range(count)
    ]
    assert found == [every[frame] for frame in wanted]


def test_two_pieces_of_64_frames_make_one_window_of_128() -> None:
    (window,) = windows(0, 128, num_frames=128, stride=1)
    assert spans(window, [64, 64]) == [(0, 0, 64), (1, 0, 64)]


def test_scenes_lie_between_cuts() -> None:
    assert list(scenes(10, [7, 3])) == [(0, 3), (3, 7), (7, 10)]
    assert list(scenes(10, [])) == [(0, 10)]


@pytest.mark.parametrize(
    ("true_fps", "target", "stride"),
    [
        (30, None, 1),
        (30, 30, 1),
        (60, 30, 2),
        (59.94, 24, 2),
        (25, 24, 1),
        (24, 60, 1),
        (100, 8, 12),
    ],
)
def test_the_stride_comes_closest_to_the_target_and_never_repeats_frames(
    true_fps: float, target: float | None, stride: int
) -> None:
    assert stride_for(true_fps, target) == stride


@given(count=st.integers(0, 200), limit=counts)
def test_the_spread_is_even(count: int, limit: int) -> None:
    chosen = sorted(spread(count, limit))
    assert len(chosen) == min(count, limit)
    assert set(chosen) <= set(range(count))
    gaps = [after - before for before, after in pairwise(chosen)]
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_a_single_choice_is_the_middle_one() -> None:
    assert spread(5, 1) == {2}
