"""The jobs that people and schedules launch."""

import dagster as dg

whole_road = dg.define_asset_job(
    "whole_road",
    selection=dg.AssetSelection.all(),
    description="From source videos to the evaluation grid; does only what is missing.",
)
