"""The paper's figure of adaptive resolutions and aspect ratios."""

import dagster as dg

from assets.clips import clips
from assets.metadata import figure
from assets.post_tuned_model import post_tuned_model
from dagster_project.stages import Stages


@dg.asset(
    deps=[clips, post_tuned_model],
    group_name="figures",
    kinds={"pytorch", "mlflow"},
    owners=["team:training"],
    code_version="1",
    pool="accelerator",
)
def resolution_grid(context: dg.AssetExecutionContext, stages: Stages) -> dg.MaterializeResult:
    """The post-tuned model at several frame sizes and aspect ratios, from the same first frames.

    Frames above their flow, true to aspect, with x-t slices: `evaluation.resolutions`.
    """
    return figure(stages, stages.run(context, "resolution_grid"), "resolutions.jpg")
