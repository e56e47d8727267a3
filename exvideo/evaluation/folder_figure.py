"""The figure of folders of videos: each model's answer to the same pictures or prompts."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from exvideo.evaluation.film_strips import (
    Scene,
    Strip,
    shown_scenes,
    write_film_strips,
)
from exvideo.evaluation.flow import Raft
from exvideo.evaluation.folder import FolderNumbers, read_video
from exvideo.evaluation.folder_report import Files, folder_names
from exvideo.evaluation.playing_strips import write_playing_strips
from exvideo.video.decoder import Decoder

SUBTITLE = (
    "The same picture or prompt, a row a model. Lengths, rates and sizes are the models' own."
)


def write_folder_figure(
    path: Path,
    numbers: FolderNumbers,
    files: Sequence[Files],
    decoder: Decoder,
    raft: Raft,
    *,
    scenes: int,
    columns: int,
    title: str,
) -> None:
    """Draw `path`, a PNG, and an MP4 of its name beside it.

    `numbers` are the first folder's, with those that it was compared with; `files` as
    `folder_report` takes them. At most so many of the first folder's videos are shown, and beside
    them the others' of the same name; a model without one shows another video, by its name.
    """
    drawn = list(_scenes(numbers, files, decoder, raft, scenes))
    write_film_strips(path, drawn, columns, title, SUBTITLE, raft.name)
    write_playing_strips(path.with_suffix(".mp4"), drawn)


def _scenes(
    first: FolderNumbers, files: Sequence[Files], decoder: Decoder, raft: Raft, wanted: int
) -> Iterator[Scene]:
    folders = [first, *(it.other for it in first.against)]
    shown = [
        (name, numbers, paths)
        for name, numbers, paths in zip(folder_names(folders), folders, files, strict=True)
        if paths
    ]
    everywhere = [{it.name for it in numbers.videos} for _, numbers, _ in shown]
    # What most models have comes first.
    videos = sorted(first.videos, key=lambda it: -sum(it.name in names for names in everywhere))
    for place, video in enumerate(videos[: shown_scenes(wanted, len(shown))]):
        strips = []
        for name, numbers, paths in shown:
            by_name = {it.name: it for it in numbers.videos}
            chosen = by_name.get(video.name) or numbers.videos[place % len(numbers.videos)]
            frames, _ = read_video(paths[chosen.name], decoder, chosen.num_frames)
            note = "" if chosen.name == video.name else chosen.name
            flow = raft(frames)
            strips.append(Strip(name, frames, flow, chosen.fps, chosen.values, note))
        yield Scene(video.name, strips)
