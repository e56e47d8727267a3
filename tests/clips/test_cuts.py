"""What is a cut, by how much frames differ from the ones before them."""

import pytest

from exvideo.clips.cuts import cuts


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([0, 4, 5, 60, 5, 4], [3]),
        ([0, 60, 4, 5, 4], [1]),
        ([0, 4, 5, 4, 60], [4]),
        ([0, 4, 5, 60, 60, 5, 4], [3, 4]),  # one frame of something else
        ([0, 30, 30, 75, 30, 30], [3]),
        ([0, 4, 5, 15, 5, 4], [3]),  # between pictures of like colours
        ([0, 2, 2, 13, 2, 2], []),
        ([0, 31, 32, 40, 33, 31, 30], []),  # fine texture that moves fast
        ([0, 26], []),
        ([0, 28], [1]),
        ([0], []),
    ],
)
def test_a_cut_changes_much_and_more_than_what_is_around_it(
    changes: list[float], expected: list[int]
) -> None:
    assert cuts(changes, threshold=27) == expected
