"""Clips as VAE latents and image embeddings, in Parquet shards."""

import math
from collections import Counter

import dagster as dg

from assets.clips import clips
from assets.metadata import materialized, output_file, table
from dagster_project.stages import Stages

MOST_MISSING = 0.05
"""Share of the clips that may lack latents before training on the rest is refused."""


@dg.asset(
    deps=[clips],
    group_name="data",
    kinds={"ray", "parquet"},
    owners=["team:data"],
    code_version="4",
    pool="accelerator",
)
def latent_shards(context: dg.AssetExecutionContext, stages: Stages) -> dg.MaterializeResult:
    """Posterior means, image embeddings and first frames, plain and noised, of every kept clip.

    Ray workers encode, on this machine or on the cluster that RAY_ADDRESS names. Finished shards
    are kept; a clip that cannot be encoded is listed as missing with its reason.
    """
    from exvideo.latents.manifest import read_manifest

    receipt = stages.run(context, "latent_shards")
    manifest = output_file(stages, "latent_shards")
    made = read_manifest(manifest)
    return materialized(
        stages,
        receipt,
        {
            **(table(manifest.parent / made.shards[0].file) if made.shards else {}),
            "dagster/row_count": dg.MetadataValue.int(len(made.clips)),
        },
    )


@dg.asset_check(asset=latent_shards, blocking=True)
def latents_are_finite(stages: Stages) -> dg.AssetCheckResult:
    """All latents are finite and none is constant."""
    from exvideo.latents.manifest import read_manifest

    statistics = read_manifest(output_file(stages, "latent_shards")).statistics
    figures = (statistics.mean, statistics.std, statistics.absmax)
    return dg.AssetCheckResult(
        passed=all(math.isfinite(figure) for figure in figures) and statistics.std > 0,
        description=f"mean {statistics.mean:.3g}, standard deviation {statistics.std:.3g}, "
        f"at most {statistics.absmax:.3g}",
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
    in_buckets = sum(bucket.clips + bucket.missing for bucket in manifest.buckets)
    reasons = Counter(it.reason.partition(":")[0] for it in manifest.missing)
    return dg.AssetCheckResult(
        passed=encoded + missing == kept == in_buckets and missing <= MOST_MISSING * kept,
        description=f"{encoded} of {kept} kept clips have latents, {missing} are missing; at most "
        f"{MOST_MISSING:.0%} may be",
        metadata={
            "clips kept": kept,
            "encoded": encoded,
            "missing": missing,
            **{f"missing: {reason}": count for reason, count in sorted(reasons.items())},
            **{
                "encoded as " + "x".join(map(str, bucket.shapes.latents)): bucket.clips
                for bucket in manifest.buckets
            },
        },
    )
