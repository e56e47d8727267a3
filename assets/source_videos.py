"""Real video files, wherever the preset says they come from."""

import dagster as dg

from assets.metadata import describe, output_file
from dagster_project.stages import Stages


@dg.asset(group_name="road", kinds={"python", "parquet"}, code_version="2")
def source_videos(context: dg.AssetExecutionContext, stages: Stages) -> dg.MaterializeResult:
    """Video files, listed with their digests in a Parquet manifest.

    The preset's source decides: videos that packages ship and clips rendered with known motion,
    the user's own folder, or OpenSoraPlan from the hub. Files that are already there are kept.
    """
    receipt = stages.run(context, "source_videos")
    return dg.MaterializeResult(
        metadata=describe(stages.preset.load(), receipt),
        data_version=dg.DataVersion(receipt.digest),
    )


@dg.asset_check(asset=source_videos, blocking=True)
def every_file_is_listed_once(stages: Stages) -> dg.AssetCheckResult:
    """There are videos, and no two rows of the manifest name the same file."""
    from exvideo.sources.manifest import read_source_videos

    paths = [video.path for video in read_source_videos(output_file(stages, "source_videos"))]
    repeated = len(paths) - len(set(paths))
    return dg.AssetCheckResult(
        passed=bool(paths) and repeated == 0,
        metadata={"files": len(paths), "listed more than once": repeated},
    )
