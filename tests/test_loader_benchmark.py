"""How the benchmark of loaders judges a training that was stopped and resumed."""

from benchmarks.loader.judging import merged, verdict

EPOCH = [[0, 1], [2, 3], [4, 5]]


def test_steps_of_ranks_come_together_whoever_showed_a_clip() -> None:
    assert merged([[[0], [3]], [[1], [2]]]) == merged([[[1], [2]], [[0], [3]]]) == EPOCH[:2]


def test_the_same_steps_with_every_clip_once_are_exact() -> None:
    assert verdict(EPOCH, [list(step) for step in EPOCH], 6) == "exact"


def test_an_undisturbed_epoch_is_judged_by_its_clips_alone() -> None:
    assert verdict(EPOCH, EPOCH, 6) == "each once"
    assert verdict(EPOCH, EPOCH, 8) == "0 repeated, 2 missed"


def test_the_same_steps_do_not_hide_that_the_epoch_itself_misses_clips() -> None:
    assert verdict(EPOCH, [list(it) for it in EPOCH], 7) == "the same steps (0 repeated, 1 missed)"


def test_clips_that_come_again_are_counted_with_those_that_never_come() -> None:
    assert verdict(EPOCH, [[0, 1], [0, 1], [4, 5]], 6) == (
        "2 repeated, 2 missed, other clips from step 2 on"
    )


def test_an_epoch_that_ends_early_differs_where_it_ends() -> None:
    assert verdict(EPOCH, EPOCH[:2], 6) == "0 repeated, 2 missed, other clips from step 3 on"


def test_every_clip_once_in_other_steps_is_not_exact() -> None:
    assert verdict(EPOCH, [[0, 2], [1, 3], [4, 5]], 6) == "each once, other clips from step 1 on"
