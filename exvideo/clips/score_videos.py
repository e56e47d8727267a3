"""Decode and score all source videos, several at a time: each once."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from queue import SimpleQueue

from upath import UPath

from exvideo.clips.candidates import candidates
from exvideo.clips.filters.filter import Filter
from exvideo.clips.manifest import Clip
from exvideo.clips.read import read_clip
from exvideo.clips.remembered import ScoredVideos
from exvideo.clips.score import scored
from exvideo.config import ClipsConfig
from exvideo.progress import Progress
from exvideo.sources.manifest import SourceVideo
from exvideo.video.decoder import DecodeError, Decoder


def score_videos(
    videos: dict[str, list[SourceVideo]],
    folder: UPath,
    config: ClipsConfig,
    filters: Sequence[Filter],
    remembered: UPath,
    progress: Progress,
) -> dict[str, list[Clip]]:
    """Each video's candidates with their scores, by id; `videos` holds the pieces of each.

    Outcomes are remembered in the folder `remembered` by the videos' content.
    """
    store = ScoredVideos(remembered, config, filters)
    outcomes: dict[str, list[Clip]] = {}
    with ExitStack() as stack:
        free: SimpleQueue[Decoder] = SimpleQueue()
        for _ in range(config.workers):
            free.put(stack.enter_context(Decoder(config.decode_timeout_s)))
        pool = stack.enter_context(ThreadPoolExecutor(config.workers))

        def one_video(pieces: list[SourceVideo]) -> list[Clip]:
            known = store.recall(pieces)
            if known is not None:
                return known
            decoder = free.get()
            try:
                clips, permanent = score_video(pieces, folder, config, filters, decoder)
            finally:
                free.put(decoder)
            if permanent:
                store.remember(pieces, clips)
            return clips

        started = {pool.submit(one_video, pieces): video for video, pieces in videos.items()}
        try:
            for done, future in enumerate(as_completed(started), start=1):
                outcomes[started[future]] = future.result()
                progress.update(done, len(started), "videos")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return outcomes


def score_video(
    pieces: list[SourceVideo],
    folder: UPath,
    config: ClipsConfig,
    filters: Sequence[Filter],
    decoder: Decoder,
) -> tuple[list[Clip], bool]:
    """One video's candidates, and whether another try could give no more."""
    found = candidates(pieces, folder, config, decoder)
    permanent = found.permanent
    clips = []
    for clip in found.windows:
        if clip.status == "kept":
            try:
                clip = scored(clip, read_clip(clip, folder, decoder), filters)
            except DecodeError as error:
                clip = clip.rejected(f"unreadable: {error.reason}")
                permanent &= error.permanent
        clips.append(clip)
    return clips + found.unusable, permanent
