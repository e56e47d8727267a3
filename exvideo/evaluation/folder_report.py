"""The report of any folder of videos, alone or beside others."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from exvideo.evaluation.folder import Comparison, FolderNumbers, VideoNumbers, read_video
from exvideo.evaluation.report_page import (
    Column,
    Player,
    PlayerRow,
    Report,
    charts_over_frames,
    measured_by,
)
from exvideo.video.decoder import Decoder

SHOWN = 3
"""Of what may be many and alike."""

Files = Mapping[str, Path]
"""A folder's videos by their names; empty where only its numbers are known."""


def folder_report(
    numbers: FolderNumbers,
    files: Sequence[Files],
    decoder: Decoder,
    facts: Sequence[tuple[str, str]],
    lineage: Sequence[tuple[str, str]] = (),
) -> Report:
    """What the page says of one folder, and of it against those that it was compared with.

    `files` are the folder's own, then the others'; `lineage` is what the model that made the first
    ones was trained on, by name.
    """
    folders = [numbers, *(it.other for it in numbers.against)]
    groups = folder_names(folders)
    by_group = dict(zip(groups, folders, strict=True))
    columns = [
        Column(name, list(it.summary.items()), form=described_forms(it))
        for name, it in by_group.items()
    ]
    compared = list(zip(groups[1:], numbers.against, strict=True))
    for name, it in compared:
        if it.pairs:
            less, pairs = list(it.differences.items()), f"{it.pairs} pairs"
            columns.append(Column(f"{groups[0]} - {name}", less, difference=True, form=pairs))
    return Report(
        title=" against ".join(groups),
        subtitle="; ".join(f"{len(it.videos)} videos: {described_forms(it)}" for it in folders),
        groups=groups,
        definitions=list(folders[0].definitions.items()),
        columns=columns,
        charts=charts_over_frames({name: it.videos for name, it in by_group.items()}),
        ranked_by=groups[0],
        rows=list(_rows(by_group, files, decoder)),
        facts=[
            *((name, it.folder) for name, it in by_group.items() if name != it.folder),
            *(
                (f"fvd, {groups[0]} and {name}", f"{it.fvd:.4g}")
                for name, it in compared
                if it.fvd is not None
            ),
            *facts,
            *measured_by(folders[0].protocol),
        ],
        unavailable=folders[0].unavailable,
        lineage=lineage,
        notes=[
            *(
                f"Not measured in {name}: {fault.name}: {fault.reason}"
                for name, it in by_group.items()
                for fault in it.unmeasured
            ),
            *(note for _, it in compared for note in _left_out(it)),
        ],
    )


def _left_out(comparison: Comparison) -> list[str]:
    shown = [f"Not compared: {it}." for it in comparison.left_out[:SHOWN]]
    more = len(comparison.left_out) - SHOWN
    return [*shown, f"Nor are {more} more pairs of these two."] if more > 0 else shown


def folder_names(folders: Sequence[FolderNumbers]) -> list[str]:
    """The folders' own names, or their whole paths where these are equal."""
    names = [Path(it.folder).name or it.folder for it in folders]
    if len(set(names)) == len(names):
        return names
    paths = [it.folder for it in folders]
    return paths if len(set(paths)) == len(paths) else [f"{it} ({n})" for n, it in enumerate(paths)]


def described_forms(numbers: FolderNumbers) -> str:
    """How long, how fast and how large the videos are."""
    forms = [
        f"{n} frames at {fps:g} a second, {n / fps:.2f} s, {size}"
        for n, fps, size in numbers.forms()
    ]
    return "; ".join([*forms[:SHOWN], *(["and others"] if len(forms) > SHOWN else [])])


def _rows(
    by_group: Mapping[str, FolderNumbers], files: Sequence[Files], decoder: Decoder
) -> Iterator[PlayerRow]:
    """A row a video of the first folder, the others' of the same name beside it."""
    (first, numbers), *_ = by_group.items()
    videos = [{it.name: it for it in folder.videos} for folder in by_group.values()]
    for video in numbers.videos:
        players = [
            _player(group, known[video.name], paths[video.name], decoder)
            for group, known, paths in zip(by_group, videos, files, strict=True)
            if video.name in known and video.name in paths
        ]
        if players and players[0].group == first:
            yield PlayerRow(video.name, video.values["jitter"], players)


def _player(group: str, video: VideoNumbers, path: Path, decoder: Decoder) -> Player:
    return Player(group, video.fps, video.values, partial(_frames, path, decoder, video.num_frames))


def _frames(path: Path, decoder: Decoder, num_frames: int) -> np.ndarray:
    return read_video(path, decoder, num_frames)[0]
