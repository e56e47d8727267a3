"""One part of the source ahead of the others: its videos fetched, decoded and scored.

python -m pipelines.scored_videos --preset svd_128f --part pexels

It writes to where `source_videos` and `clips` look, so that these find its work done.
"""

import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

from exvideo.config import Preset
from exvideo.receipt import Figure, digest_of, stage_folder
from exvideo.run_lock import among_runs
from pipelines import source_videos
from pipelines.clips import SCORES
from pipelines.stage import Job, Outcome, Stage, growing_folder, lock_of, main


def run(job: Job) -> Outcome:
    """Fetch, decode and score the videos of one part of the source."""
    job.progress.doing("loading libraries")
    from exvideo.clips.curate import pieces_by_video
    from exvideo.clips.filters.load import load_filters
    from exvideo.clips.score_videos import score_videos

    preset, progress = job.preset, job.progress
    listed = stage_folder(preset, "source_videos")
    folder = listed / growing_folder(source_videos.STAGE, preset)
    # Beside other parts, but not beside the stages that join them: these clean up behind killed
    # writers, and would do the same work.
    with among_runs(lock_of(preset, "source_videos"), progress):
        videos, left_out = source_videos.collect(preset, folder, job.scratch, progress)
    config = preset.clips
    filters = load_filters(config.filters, config.aesthetic)
    scores = stage_folder(preset, "clips") / SCORES
    with among_runs(lock_of(preset, "clips"), progress):
        by_id = pieces_by_video(videos)
        scored = score_videos(by_id, folder, config, filters, scores, progress)
    figures: dict[str, Figure] = {
        **source_videos.figures(videos, left_out),
        "candidates": sum(len(clips) for clips in scored.values()),
    }
    unusable = Counter(
        clip.reason_kind for clips in scored.values() for clip in clips if clip.status == "rejected"
    )
    figures |= {f"rejected: {kind}": count for kind, count in sorted(unusable.items())}
    content = sorted((video.path, video.sha256) for video in videos)
    return Outcome(digest_of([content, sections(preset)]), figures=figures)


def sections(preset: Preset) -> Any:
    """The part, and what scores depend on: verdicts, and so thresholds, come later."""
    from exvideo.clips.filters.load import load_filters
    from exvideo.clips.remembered import scores_depend_on

    filters = load_filters(preset.clips.filters, preset.clips.aesthetic)
    return [preset.source.model_dump(), scores_depend_on(preset.clips, filters)]


def parts(preset: Preset) -> Mapping[str, Preset]:
    """The preset with one archive, or one of the user's paths, for its source."""
    from exvideo.sources.parts import source_parts

    return {
        name: preset.model_copy(update={"source": part})
        for name, part in source_parts(preset.source).items()
    }


STAGE = Stage(
    name="scored_videos",
    version=1,
    inputs=(),
    sections=sections,
    run=run,
    grows=True,
    fingerprint=source_videos.fingerprint,
    parts=parts,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
