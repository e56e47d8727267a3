"""Decode and score all source videos, several at a time: each once."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from upath import UPath

from exvideo.clips.filters.filter import Filter
from exvideo.clips.manifest import Clip
from exvideo.clips.remembered import ScoredVideos
from exvideo.clips.video_turns import all_scored
from exvideo.clips.video_worker import ScoringTask
from exvideo.clips.workers import video_workers
from exvideo.config import ClipsConfig
from exvideo.progress import Progress
from exvideo.sources.manifest import SourceVideo

RECALLED_AT_A_TIME = 16
"""Files of remembered scores, which may lie on an object store."""


def score_videos(
    videos: dict[str, list[SourceVideo]],
    folder: UPath,
    config: ClipsConfig,
    filters: Sequence[Filter],
    remembered: UPath,
    progress: Progress,
) -> dict[str, list[Clip]]:
    """Each video's candidates with their scores, by id; `videos` holds the pieces of each.

    Outcomes are remembered in the folder `remembered` by the videos' content. The largest videos
    come first, and several workers share one's windows.
    """
    store = ScoredVideos(remembered, config, filters)
    outcomes = {}
    with ThreadPoolExecutor(RECALLED_AT_A_TIME) as threads:
        for video, known in zip(videos, threads.map(store.recall, videos.values()), strict=True):
            if known is not None:
                outcomes[video] = known
    left = {video: pieces for video, pieces in videos.items() if video not in outcomes}
    if outcomes:
        progress.update(len(outcomes), len(videos), "videos")
    if not left:
        return outcomes
    with video_workers(ScoringTask(folder, config, filters), config.workers) as workers:
        for video, clips, permanent in all_scored(left, workers, config, progress):
            if permanent:
                store.remember(left[video], clips)
            outcomes[video] = clips
            progress.update(len(outcomes), len(videos), "videos")
    return outcomes
