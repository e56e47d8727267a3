"""Clips as VAE latents and image embeddings, in Parquet shards."""

import math

import dagster as dg

from assets.clips import clips
from assets.metadata import describe, output_file
from dagster_project.stages import Stages

MOST_MISSING = 0.05
"""Share of the clips that may lack latents before training on the rest is refused."""


@dg.asset(
    deps=[clips],
    group_name="road",
    kinds={"ray", "parquet"},
    code_version="2",
    pool="accelerator",
)
def latent_shards(context: dg.AssetExecutionContext, stages: Stages) -> dg.MaterializeResult:
    """Posterior means, image embeddings and noised first frames of every kept clip.

    Ray workers encode, on this machine or on the cluster that RAY_ADDRESS names. Finished shards
    are kept; a clip that cannot be encoded is listed as missing with its reason.
    """
    receipt = stages.run(context, "latent_shards")
    return dg.MaterializeResult(
        metadata=describe(stages.preset.load(), receipt),
        data_version=dg.DataVersion(receipt.digest),
    )


@dg.asset_check(asset=latent_shards, blocking=True)
def latents_are_finite(stages: Stages) -> dg.AssetCheckResult:
    """All latents are finite and none is constant."""
    from exvideo.latents.manifest import read_manifest

    statistics = read_manifest(output_file(stages, "latent_shards")).statistics
    figures = (statistics.mean, statistics.std, statistics.absmax)
    return dg.AssetCheckResult(
        passed=all(math.isfinite(figure) for figure in figures) and statistics.std > 0,
        metadata={"mean": statistics.mean, "std": statistics.std, "absmax": statistics.absmax},
    )


@dg.asset_check(asset=latent_shards, blocking=True)
def every_kept_clip_has_latents(stages: Stages) -> dg.AssetCheckResult:
    """Rows and missing clips add up to the kept clips, and few are missing."""
    from exvideo.clips.manifest import read_clips
    from exvideo.latents.manifest import read_manifest

    manifest = read_manifest(output_file(stages, "latent_shards"))
    candidates = read_clips(output_file(stages, "clips"))
    kept = sum(clip.status == "kept" for clip in candidates)
    encoded, missing = len(manifest.clips), len(manifest.missing)
    return dg.AssetCheckResult(
        passed=encoded + missing == kept and missing <= MOST_MISSING * kept,
        metadata={"clips kept": kept, "encoded": encoded, "missing": missing},
    )
