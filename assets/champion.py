"""The model that others use: a new one takes its place only where it is not worse."""

import json

import dagster as dg

from assets.evaluation_grid import evaluation_grid
from assets.metadata import materialized, output_file
from dagster_project.stages import Stages


@dg.asset(
    deps=[evaluation_grid],
    group_name="release",
    kinds={"mlflow", "pytorch"},
    owners=["team:training"],
    code_version="1",
    pool="accelerator",
)
def champion(context: dg.AssetExecutionContext, stages: Stages) -> dg.MaterializeResult:
    """The registered model's version that MLflow's alias `champion` names.

    Materializing this promotes the new model if the gate lets it pass. The champion is measured
    anew, from the same first frames and seeds, where its numbers don't compare any more.
    """
    return materialized(stages, stages.run(context, "champion"))


@dg.asset_check(asset=champion)
def new_model_is_not_worse(stages: Stages) -> dg.AssetCheckResult:
    """The gate's verdict with its reasons. A warning: the champion before stays in its place."""
    verdict = json.loads(output_file(stages, "champion", "verdict").read_bytes())
    return dg.AssetCheckResult(
        passed=verdict["passes"],
        severity=dg.AssetCheckSeverity.WARN,
        description=verdict["reason"],
        metadata={it["rule"]: it["reason"] for it in verdict["findings"]},
    )
