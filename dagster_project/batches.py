"""The partitions of `own_batches` are the paths that the preset names."""

import dagster as dg

from assets.source_parts import BATCHES
from dagster_project.preset import PresetResource
from exvideo.config import LocalSource
from exvideo.errors import InputError

MOST = 1000
"""Partitions, with which Dagster's pages still open at once; the road itself takes any number."""


@dg.sensor(default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=60)
def batches_have_come(
    context: dg.SensorEvaluationContext, preset: PresetResource
) -> dg.SensorResult | dg.SkipReason:
    """Every minute: new paths of the preset become partitions of `own_batches`, old ones go.

    It starts nothing.
    """
    from exvideo.sources.parts import batches

    try:
        source = preset.load().source
        if not isinstance(source, LocalSource):
            return dg.SkipReason(f"no batches: the source is {source.kind}, not local")
        wanted = batches(source.paths)
    except InputError as error:
        return dg.SkipReason(str(error))
    told = f"batches: {len(wanted):,}"
    if len(wanted) > MOST:
        told += f" (the first {MOST:,} have partitions, the road takes them all)"
        wanted = wanted[:MOST]
    there = BATCHES.get_partition_keys(dynamic_partitions_store=context.instance)
    new = [it for it in wanted if it not in set(there)]
    gone = [it for it in there if it not in set(wanted)]
    if not new and not gone:
        return dg.SkipReason(f"{told}, none of them new")
    return dg.SensorResult(
        skip_reason=f"{told}, {len(new)} of them new; {len(gone)} are gone",
        dynamic_partitions_requests=[
            BATCHES.build_add_request(new),
            BATCHES.build_delete_request(gone),
        ],
    )
