"""The paper's figure of several models' answers to the same pictures."""

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
def comparison_grid(context: dg.AssetExecutionContext, stages: Stages) -> dg.MaterializeResult:
    """The post-tuned model beside training-free baselines and other models' videos.

    `evaluation.other_models` names a folder of these, a folder a model (VideoGenMuseum's layout);
    lengths and rates stand beside each.
    """
    return figure(
        stages, stages.run(context, "comparison_grid"), "comparison.jpg", "comparison.html"
    )
