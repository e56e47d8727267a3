"""When a new model is trained by itself: where enough new videos have come; else the tick says why.

Post-tuning is dear: a person switches its repetition on.
"""

import dagster as dg

from dagster_project.abandoned_runs import UNFINISHED
from dagster_project.jobs import retraining
from dagster_project.preset import PresetResource
from exvideo.errors import InputError
from exvideo.new_videos import NewVideos, new_videos

UNDER_WAY = [dg.DagsterRunStatus.QUEUED, *UNFINISHED]


@dg.schedule(
    job=retraining,
    cron_schedule="0 3 * * 1",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
def weekly_retraining(
    context: dg.ScheduleEvaluationContext, preset: PresetResource
) -> dg.RunRequest | dg.SkipReason:
    """Mondays at 03:00 UTC: trains on the new videos, and promotes what is not worse."""
    found = _new_videos(context.instance, preset)
    return found if isinstance(found, dg.SkipReason) else _request(preset, found)


@dg.sensor(
    job=retraining,
    default_status=dg.DefaultSensorStatus.STOPPED,
    minimum_interval_seconds=600,
)
def videos_have_come(
    context: dg.SensorEvaluationContext, preset: PresetResource
) -> dg.SensorResult | dg.SkipReason:
    """Every ten minutes: as `weekly_retraining`, as soon as enough new videos have come.

    It asks once for the same files: what came of that is for a person, or for the schedule.
    """
    found = _new_videos(context.instance, preset)
    if isinstance(found, dg.SkipReason):
        return found
    if context.cursor == found.digest:
        return dg.SkipReason(f"a run was asked for already: {found}")
    return dg.SensorResult(run_requests=[_request(preset, found)], cursor=found.digest)


cheap_assets = dg.AutomationConditionSensorDefinition(
    "cheap_assets",
    target=dg.AssetSelection.all() | dg.AssetSelection.all_asset_checks(),
    description="Makes what needs no GPU anew as its automation condition says: the list of videos "
    "and their clips, and whether new videos wait. For the preset that EXVIDEO_PRESET names.",
    default_status=dg.DefaultSensorStatus.STOPPED,
    minimum_interval_seconds=60,
)


def _new_videos(instance: dg.DagsterInstance, preset: PresetResource) -> NewVideos | dg.SkipReason:
    under_way = instance.get_runs(
        dg.RunsFilter(job_name=retraining.name, statuses=UNDER_WAY), limit=1
    )
    if under_way:
        return dg.SkipReason(f"the run {under_way[0].run_id[:8]} is under way")
    try:
        found = new_videos(preset.load())
    except InputError as error:
        return dg.SkipReason(str(error))
    return found if found.enough else dg.SkipReason(str(found))


def _request(preset: PresetResource, found: NewVideos) -> dg.RunRequest:
    config = {"name": preset.name, "overrides": preset.overrides}
    return dg.RunRequest(
        run_config={"resources": {"preset": {"config": config}}},
        tags={"exvideo/because": str(found)},
    )
