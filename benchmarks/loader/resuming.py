"""Ranks that are stopped after a step and resumed, as many or more; and what they showed."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from benchmarks.loader.format import Format, Place, Share
from benchmarks.loader.judging import merged, verdict
from benchmarks.loader.one_rank import dumped, loaded, run_rank

CLIPS = 8
"""Of a step, over all ranks."""


def resume_rows(
    kinds: Sequence[Format], places: Mapping[str, Place], clips: int, after: int
) -> Iterator[list[str]]:
    """Of the table, each as it is found."""
    # What ranks are forked from imports it all once.
    get_context("forkserver").set_forkserver_preload(
        [cast(ModuleType, it).__name__ for it in kinds]
    )
    for kind in kinds:
        yield [kind.NAME, *_resume_row(kind, Path(places[kind.NAME].url), clips, after)]


def _resume_row(kind: Format, folder: Path, clips: int, after: int) -> list[str]:
    """An epoch of 2 ranks; the same, stopped after a step, by 2 and by 4 ranks.

    The state is saved after that step, and the ranks go on: a checkpoint ends no training.
    """
    steps = clips // CLIPS
    try:
        shown, saved = _run(kind, folder, [None, None], steps, after)
    except RuntimeError as error:
        return [f"fails: {error}", "", ""]
    undisturbed = merged(shown)
    row = [verdict(undisturbed, undisturbed, clips)]
    for ranks in (2, 4):
        if not kind.RESUMES:
            row.append("no state of its own")
            continue
        try:
            states = kind.states([loaded(it) for it in saved], ranks, folder)
            shown, _ = _run(kind, folder, [dumped(it) for it in states], steps - after, None)
            row.append(verdict(undisturbed, undisturbed[:after] + merged(shown), clips))
        except RuntimeError as error:
            row.append(f"refused: {error}")
    return row


def _run(
    kind: Format, folder: Path, states: Sequence[Any], steps: int, after: int | None
) -> tuple[list[list[list[int]]], list[Any]]:
    """What each rank showed in each step, and its state after one of them."""
    fresh = get_context("forkserver")
    port = _free_port()
    name = cast(ModuleType, kind).__name__
    ranks = []
    for rank, state in enumerate(states):
        ours, theirs = fresh.Pipe(duplex=False)
        share = Share(rank, len(states), CLIPS)
        process = fresh.Process(
            target=run_rank, args=(name, folder, share, state, steps, after, theirs, port)
        )
        process.start()
        theirs.close()
        ranks.append((process, ours))
    try:
        answers = [_answer(pipe) for _, pipe in ranks]
    finally:
        for process, _ in ranks:
            process.join(20)
            process.kill()
    return [shown for shown, _ in answers], [saved for _, saved in answers if saved is not None]


def _answer(pipe: Connection) -> Any:
    try:
        answer = pipe.recv() if pipe.poll(300) else "no answer within 300 s"
    except EOFError:
        answer = "a rank ended without an answer"
    if isinstance(answer, str):
        raise RuntimeError(answer)
    return answer


def _free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]
