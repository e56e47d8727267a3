"""What the ranks are at reaches whoever follows them."""

from pathlib import Path

from exvideo.training.rank_progress import STEPS, RankProgress, pass_on, read_standing
from tests.told import Told


def test_what_a_rank_does_is_passed_on(tmp_path: Path) -> None:
    path = tmp_path / "standing.json"
    rank = RankProgress(path, writes=True)
    told = Told()
    rank.doing("starting DeepSpeed")
    pass_on(read_standing(path), told, {})
    rank.update(3, 8, "validation batches")
    pass_on(read_standing(path), told, {"loss": 1.0})
    rank.update(8, 8, STEPS)
    pass_on(read_standing(path), told, {"loss": 0.5})
    assert told.said == [
        "starting DeepSpeed",
        "3/8 validation batches {}",
        "8/8 steps {'loss': 0.5}",
    ]


def test_of_all_ranks_only_the_first_writes(tmp_path: Path) -> None:
    RankProgress(tmp_path / "standing.json", writes=False).doing("loading")
    assert read_standing(tmp_path / "standing.json") is None


def test_fast_steps_are_written_once_a_second_and_the_last_one_always(tmp_path: Path) -> None:
    path = tmp_path / "standing.json"
    rank = RankProgress(path, writes=True)
    seen = set()
    for step in range(1, 1001):
        rank.update(step, 1000, STEPS)
        standing = read_standing(path)
        assert standing is not None
        seen.add(standing.done)
    assert {1, 1000} <= seen
    assert len(seen) < 500
