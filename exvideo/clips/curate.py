"""From source videos to clips: decode, windows, scores, verdicts, duplicates, thinning, split."""

from collections.abc import Sequence
from itertools import groupby

from upath import UPath

from exvideo.clips.duplicates import without_duplicates
from exvideo.clips.filters.filter import Filter
from exvideo.clips.filters.load import load_filters
from exvideo.clips.manifest import Clip
from exvideo.clips.near_duplicates import without_near_duplicates
from exvideo.clips.score_videos import score_videos
from exvideo.clips.split import held_out_videos
from exvideo.clips.thin import thinned
from exvideo.clips.verdicts import judged, thresholds
from exvideo.config import ClipsConfig
from exvideo.progress import Progress
from exvideo.sources.manifest import SourceVideo


def curate(
    videos: list[SourceVideo],
    folder: UPath,
    config: ClipsConfig,
    remembered: UPath,
    progress: Progress,
) -> list[Clip]:
    """Every candidate clip of every video, with its split; sorted by video and place in it.

    `folder` is the source manifest's. Scores are remembered in the folder `remembered` by the
    videos' content, so that the next call decodes new videos only, and another threshold none.
    """
    by_id = pieces_by_video(videos)
    filters = load_filters(config.filters, config.aesthetic)
    scored = score_videos(by_id, folder, config, filters, remembered, progress)
    clips = chosen([clip for video in sorted(by_id) for clip in scored[video]], config, filters)
    clips = _described(clips, {video.path: video for video in videos})
    return _split(clips, {video: by_id[video][0].held_out for video in by_id}, config)


def pieces_by_video(videos: list[SourceVideo]) -> dict[str, list[SourceVideo]]:
    """The rows of a manifest by the video that they are pieces of."""
    ordered = sorted(videos, key=lambda video: video.video_id)
    return {
        video_id: list(pieces)
        for video_id, pieces in groupby(ordered, key=lambda video: video.video_id)
    }


def chosen(clips: list[Clip], config: ClipsConfig, filters: Sequence[Filter]) -> list[Clip]:
    """The scored candidates with their verdicts; `clips` are sorted by video."""
    applied = thresholds(filters, config.filters)
    good = without_duplicates(judged(clip, filters, applied) for clip in clips)
    if config.near_duplicate_bits is not None:
        good = without_near_duplicates(good, config.near_duplicate_bits)
    return [
        clip
        for _, group in groupby(good, key=lambda clip: clip.video_id)
        for clip in thinned(list(group), config.max_clips_per_video)
    ]


def _described(clips: list[Clip], files: dict[str, SourceVideo]) -> list[Clip]:
    """With what their sources say, which is not remembered with the scores: it may change.

    A clip over several pieces has the caption of the first that has one.
    """
    described = []
    for clip in clips:
        pieces = [files[piece.path] for piece in clip.pieces]
        caption = next((piece.caption for piece in pieces if piece.caption), "")
        told = {"caption": caption, "licence": pieces[0].licence_claimed}
        described.append(clip.model_copy(update=told))
    return described


def _split(clips: list[Clip], said: dict[str, bool | None], config: ClipsConfig) -> list[Clip]:
    useful = {clip.video_id for clip in clips if clip.status == "kept"}
    held_out = held_out_videos({v: said[v] for v in useful}, config.held_out_videos)
    return [
        clip.model_copy(update={"split": "held_out" if clip.video_id in held_out else "train"})
        for clip in clips
    ]
