"""What Dagster loads: the road's assets and checks, jobs, the schedule and sensors.

Loading imports nothing heavy: torch, ray, diffusers, deepspeed, pandas and mlflow belong to the
stages' own processes.
"""

import os

import dagster as dg

from assets import clips, evaluation_grid, latent_shards, post_tuned_model, source_videos
from dagster_project.jobs import whole_road
from dagster_project.preset import PresetResource
from dagster_project.schedules import weekly_retraining
from dagster_project.sensors import abandoned_runs, mlflow_run_failed, mlflow_run_killed
from dagster_project.stages import Stages

STRETCHES = [source_videos, clips, latent_shards, post_tuned_model, evaluation_grid]


@dg.definitions
def road() -> dg.Definitions:
    preset = PresetResource.configure_at_launch()
    return dg.Definitions(
        assets=dg.load_assets_from_modules(STRETCHES),
        asset_checks=dg.load_asset_checks_from_modules(STRETCHES),
        jobs=[whole_road],
        schedules=[weekly_retraining],
        sensors=[abandoned_runs, mlflow_run_failed, mlflow_run_killed],
        resources={
            "preset": preset,
            "stages": Stages(
                preset=preset,
                dagster_url=os.environ.get("EXVIDEO_DAGSTER_URL", "http://127.0.0.1:3000"),
            ),
        },
        # The work runs in the stages' processes; a process a step would only cost start-up
        # time and be one more layer that can be orphaned.
        executor=dg.in_process_executor,
    )
