"""What Dagster loads: the road's assets and checks, jobs, the schedule and sensors.

Loading imports nothing heavy: torch, ray, diffusers, deepspeed, pandas and mlflow belong to the
stages' own processes.
"""

import os

import dagster as dg

from assets import (
    champion,
    clips,
    comparison_grid,
    evaluation_grid,
    latent_shards,
    post_tuned_model,
    resolution_grid,
    source_parts,
    source_videos,
)
from assets.road_picture import with_picture
from dagster_project.alerts import run_failure_alerts
from dagster_project.batches import batches_have_come
from dagster_project.jobs import figures, retraining, whole_road
from dagster_project.preset import PresetResource
from dagster_project.retraining import cheap_assets, videos_have_come, weekly_retraining
from dagster_project.sensors import abandoned_runs, mlflow_run_failed, mlflow_run_killed
from dagster_project.stages import Stages

STRETCHES = [source_videos, clips, latent_shards, post_tuned_model, evaluation_grid, champion]
FIGURES = [resolution_grid, comparison_grid]


@dg.definitions
def road() -> dg.Definitions:
    preset = PresetResource.configure_at_launch()
    return dg.Definitions(
        assets=[
            it.map_asset_specs(with_picture)
            for it in dg.load_assets_from_modules([source_parts, *STRETCHES, *FIGURES])
            if isinstance(it, dg.AssetsDefinition)
        ],
        asset_checks=dg.load_asset_checks_from_modules(STRETCHES),
        jobs=[whole_road, retraining, figures],
        schedules=[weekly_retraining],
        sensors=[
            batches_have_come,
            videos_have_come,
            cheap_assets,
            abandoned_runs,
            mlflow_run_failed,
            mlflow_run_killed,
            run_failure_alerts,
        ],
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
