"""What post-tuning did, to be seen: clips before, in the middle and after, with their flow."""

import dagster as dg

from assets.clips import clips
from assets.metadata import figure
from assets.post_tuned_model import post_tuned_model
from dagster_project.stages import Stages

LEAST_CONTRAST = 0.02
"""Standard deviation of a clip's pixels in [0, 1] below which it counts as blank."""


@dg.asset(
    deps=[clips, post_tuned_model],
    group_name="evaluation",
    kinds={"pytorch", "mlflow"},
    owners=["team:training"],
    code_version="4",
    pool="accelerator",
)
def evaluation_grid(context: dg.AssetExecutionContext, stages: Stages) -> dg.MaterializeResult:
    """A contact sheet and an MP4 of generated clips, RAFT's flow to the right of each frame.

    The same held-out first frames and seeds before, in the middle of and after post-tuning, with
    flow magnitude and jitter beside them; and a report, one HTML page with players and curves.
    """
    return figure(stages, stages.run(context, "evaluation_grid"), "grid.jpg", "report.html")


@dg.asset_check(asset=evaluation_grid, blocking=True)
def grid_is_not_blank(stages: Stages) -> dg.AssetCheckResult:
    """The generated clips have contrast."""
    _, receipt = stages.finished("evaluation_grid")
    contrast = float(receipt.figures["grid contrast"])
    return dg.AssetCheckResult(
        passed=contrast > LEAST_CONTRAST,
        description=f"contrast {contrast:.3g}, more than {LEAST_CONTRAST:g} asked for",
        metadata={"contrast": contrast},
    )
