"""Parts of the source that are ingested each alone: OpenSoraPlan's archives, one's own batches.

The road needs none of them: `source_videos` and `clips` do what is missing of all parts. Here one
of several is made, made again or repaired while the others stay as they are.
"""

import dagster as dg

from assets.metadata import materialized
from dagster_project.stages import Stages

ARCHIVES = dg.StaticPartitionsDefinition(["mixkit", "pexels", "pixabay"])
BATCHES = dg.DynamicPartitionsDefinition(name="batches")


def _scored(context: dg.AssetExecutionContext, stages: Stages) -> dg.MaterializeResult:
    receipt = stages.run(context, "scored_videos", part=context.partition_key)
    return materialized(stages, receipt)


@dg.asset(
    partitions_def=ARCHIVES,
    group_name="sources",
    kinds={"huggingface", "python"},
    owners=["team:data"],
    code_version="1",
)
def open_sora_plan(context: dg.AssetExecutionContext, stages: Stages) -> dg.MaterializeResult:
    """One archive of OpenSoraPlan from the hub, its videos decoded and scored.

    For a preset whose `source.archives` has it. A backfill of all three works on each in a run of
    its own; one that fails goes on where it was when its partition is materialized again.
    """
    return _scored(context, stages)


@dg.asset(
    partitions_def=BATCHES,
    group_name="sources",
    kinds={"python"},
    owners=["team:data"],
    code_version="1",
)
def own_batches(context: dg.AssetExecutionContext, stages: Stages) -> dg.MaterializeResult:
    """One of the preset's own `source.paths`, its videos listed, decoded and scored.

    The sensor `batches_have_come` keeps the partitions as the preset's paths are; one that ends in
    `*/` makes every folder that it matches a batch. Videos that were seen are not decoded again.
    """
    return _scored(context, stages)
