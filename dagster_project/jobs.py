"""The jobs that people and schedules launch."""

import dagster as dg

_figures = dg.AssetSelection.groups("figures")
_road = dg.AssetSelection.all() - _figures - dg.AssetSelection.groups("sources")
_champion = dg.AssetSelection.assets("champion")

whole_road = dg.define_asset_job(
    "whole_road",
    selection=_road - _champion - dg.AssetSelection.checks_for_assets("champion"),
    description="From source videos to the evaluation grid; does only what is missing.",
)

retraining = dg.define_asset_job(
    "retraining",
    selection=_road,
    description="The whole road, and the new model becomes the champion where it is not worse.",
)

figures = dg.define_asset_job(
    "figures",
    selection=_figures,
    description="The model at several frame sizes, and beside baselines and other models.",
)
