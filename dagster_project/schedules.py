"""When the road is walked by itself."""

import dagster as dg

from dagster_project.jobs import whole_road

weekly_retraining = dg.ScheduleDefinition(
    name="weekly_retraining",
    job=whole_road,
    cron_schedule="0 3 * * 1",
    execution_timezone="UTC",
    # Post-tuning is dear: a person switches its repetition on.
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Mondays at 03:00 UTC: takes in new videos and, where there are any, post-tunes "
    "anew. Stages whose inputs are unchanged are skipped.",
)
