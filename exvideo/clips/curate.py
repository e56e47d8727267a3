"""Cut all source videos into clips, several at a time, and remember each video's outcome."""

import json
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from itertools import groupby
from queue import SimpleQueue

from upath import UPath

from exvideo.clips.cut import CutVideo, cut_video
from exvideo.clips.manifest import Clip
from exvideo.clips.split import held_out_videos
from exvideo.config import ClipsConfig
from exvideo.errors import InputError
from exvideo.progress import Progress
from exvideo.receipt import digest_of, write_atomically
from exvideo.sources.manifest import SourceVideo
from exvideo.video.decoder import Decoder

NAMED_FILES = 3
"""Unreadable files that an error names."""


def curate(
    videos: list[SourceVideo],
    folder: UPath,
    config: ClipsConfig,
    remembered: UPath,
    progress: Progress,
) -> list[Clip]:
    """Every candidate clip of every video, with its split; sorted by video and place in it.

    `folder` is the source manifest's. Outcomes are remembered in the folder `remembered` by the
    videos' content, so that the next call decodes new videos only.
    """
    by_id = {
        video_id: list(pieces)
        for video_id, pieces in groupby(
            sorted(videos, key=lambda video: video.video_id), key=lambda video: video.video_id
        )
    }
    known = {path.name for path in remembered.iterdir()} if remembered.exists() else set()
    outcomes: dict[str, list[Clip]] = {}
    kept = 0
    with ExitStack() as stack:
        free: SimpleQueue[Decoder] = SimpleQueue()
        for _ in range(config.workers):
            free.put(stack.enter_context(Decoder(config.decode_timeout_s)))
        pool = stack.enter_context(ThreadPoolExecutor(config.workers))

        def one_video(pieces: list[SourceVideo]) -> list[Clip]:
            store = remembered / f"{_content(pieces)}.json"
            if store.name in known:
                return _recalled(store, pieces)
            decoder = free.get()
            try:
                cut = cut_video(pieces, folder, config, decoder)
            finally:
                free.put(decoder)
            _remember(store, cut)
            return cut.clips

        started = {pool.submit(one_video, pieces): video for video, pieces in by_id.items()}
        try:
            for done, future in enumerate(as_completed(started), start=1):
                clips = outcomes[started[future]] = future.result()
                kept += sum(clip.status == "kept" for clip in clips)
                progress.update(done, len(started), "videos", kept=kept)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    clips = _without_duplicates(clip for video in sorted(by_id) for clip in outcomes[video])
    return _split(clips, {video: by_id[video][0].held_out for video in by_id}, config)


def check_some_kept(clips: list[Clip], config: ClipsConfig) -> None:
    """Raises `InputError`, with what stood against the candidates, where none is kept."""
    if any(clip.status == "kept" for clip in clips):
        return
    reasons = Counter(clip.reason_kind for clip in clips)
    counts = ", ".join(f"{count} {kind}" for kind, count in reasons.most_common())
    message = f"no clip is kept of {len(clips)} candidates ({counts})"
    if reasons["unreadable"] == len(clips):
        named = "; ".join(f"{c.pieces[0].path}: {c.reason}" for c in clips[:NAMED_FILES])
        raise InputError(f"{message}. None of the files can be decoded: {named}")
    hints = []
    if reasons["too short"]:
        longest = max(clip.num_frames for clip in clips if clip.reason_kind == "too short")
        hints.append(
            f"the longest scene has {longest} frames, clips.num_frames asks for "
            f"{config.num_frames} at clips.fps {config.fps or 'null (every frame)'}: lower "
            "clips.num_frames or use longer videos"
        )
    if reasons["too small"]:
        hints.append(f"clips are {config.height}x{config.width} px: lower clips.height and width")
    if reasons["still"]:
        hints.append("lower clips.min_motion")
    if reasons["blank"]:
        hints.append("lower clips.min_contrast")
    raise InputError(f"{message}: {'; '.join(hints)}" if hints else message)


def _content(pieces: list[SourceVideo]) -> str:
    return digest_of([[piece.piece, piece.sha256] for piece in pieces])[:32]


def _remember(store: UPath, cut: CutVideo) -> None:
    if cut.permanent:
        rows = [clip.model_dump() for clip in cut.clips]
        write_atomically(store, json.dumps(rows).encode())


def _recalled(store: UPath, pieces: list[SourceVideo]) -> list[Clip]:
    """The same content may have moved since, or carry another name."""
    paths = {piece.sha256: piece.path for piece in pieces}
    rows = json.loads(store.read_bytes())
    for row in rows:
        row["video_id"], row["source"] = pieces[0].video_id, pieces[0].source
        for piece in row["pieces"]:
            piece["path"] = paths[piece["sha256"]]
    return [Clip.model_validate(row) for row in rows]


def _without_duplicates(clips: Iterable[Clip]) -> list[Clip]:
    """The same frames count once; a repetition gets its own id and, if need be, its reason."""
    first: dict[str, Clip] = {}
    rows: list[Clip] = []
    for clip in clips:
        original = first.setdefault(clip.clip_id, clip)
        if original is not clip:
            update = {"clip_id": digest_of([clip.clip_id, clip.video_id, len(rows)])[:16]}
            if clip.status == "kept":
                reason = f"duplicate: the same frames as in {original.video_id}"
                update |= {"status": "rejected", "reason": reason}
            clip = clip.model_copy(update=update)
        rows.append(clip)
    return rows


def _split(clips: list[Clip], said: dict[str, bool | None], config: ClipsConfig) -> list[Clip]:
    useful = {clip.video_id for clip in clips if clip.status == "kept"}
    held_out = held_out_videos({v: said[v] for v in useful}, config.held_out_videos)
    return [
        clip.model_copy(update={"split": "held_out" if clip.video_id in held_out else "train"})
        for clip in clips
    ]
