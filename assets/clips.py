"""Clips of the preset's length and size, cut from the source videos."""

from collections import Counter

import dagster as dg

from assets.metadata import materialized, output_file, picture, table
from assets.source_videos import source_videos
from dagster_project.stages import Stages


@dg.asset(
    deps=[source_videos],
    group_name="data",
    kinds={"python", "parquet"},
    owners=["team:data"],
    code_version="5",
    automation_condition=dg.AutomationCondition.eager(),
)
def clips(context: dg.AssetExecutionContext, stages: Stages) -> dg.MaterializeResult:
    """A Parquet manifest of every candidate clip: kept, or rejected with the reason.

    Videos are probed, cut at scenes, cropped and resampled. A file that cannot be decoded costs
    only itself. Videos that were seen before are not decoded again.
    """
    from exvideo.clips.funnel import funnel_table
    from exvideo.clips.manifest import Clip, read_clips

    receipt = stages.run(context, "clips")
    candidates = read_clips(output_file(stages, "clips"))
    return materialized(
        stages,
        receipt,
        {
            **table(output_file(stages, "clips"), Clip),
            "funnel": dg.MetadataValue.md(funnel_table(candidates)),
            "funnel chart": picture(output_file(stages, "clips", "funnel")),
            "scores": picture(output_file(stages, "clips", "histograms")),
            "preview": picture(output_file(stages, "clips", "preview")),
        },
    )


@dg.asset_check(asset=clips, blocking=True)
def candidates_add_up(stages: Stages) -> dg.AssetCheckResult:
    """Every video was judged, every candidate is kept or has a reason, and some are kept."""
    from exvideo.clips.manifest import read_clips
    from exvideo.sources.manifest import read_source_videos

    candidates = read_clips(output_file(stages, "clips"))
    videos = {video.video_id for video in read_source_videos(output_file(stages, "source_videos"))}
    unjudged = videos - {clip.video_id for clip in candidates}
    outcomes = Counter(clip.reason_kind or clip.status for clip in candidates)
    kept = [clip for clip in candidates if clip.status == "kept"]
    unexplained = [c for c in candidates if c.status == "rejected" and not c.reason]
    return dg.AssetCheckResult(
        passed=bool(kept) and not unexplained and not unjudged,
        description=f"{len(kept)} of {len(candidates)} candidates kept, {len(unexplained)} without "
        f"a reason; {len(unjudged)} of {len(videos)} videos without a candidate",
        metadata={
            "candidates": len(candidates),
            "videos without a candidate": len(unjudged),
            **{f"candidates: {outcome}": count for outcome, count in outcomes.items()},
        },
    )
