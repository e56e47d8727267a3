"""The base model, extended and post-tuned."""

import json
import math

import dagster as dg

from assets.fresh import DAILY, FRESH
from assets.latent_shards import latent_shards
from assets.metadata import materialized, output_file, picture
from dagster_project.stages import Stages


@dg.asset(
    deps=[latent_shards],
    group_name="training",
    kinds={"deepspeed", "pytorch", "mlflow"},
    owners=["team:training"],
    code_version="2",
    pool="accelerator",
    freshness_policy=FRESH,
)
def post_tuned_model(context: dg.AssetExecutionContext, stages: Stages) -> dg.MaterializeResult:
    """The trained tensors (their exponential moving average) as one safetensors file.

    A DeepSpeed job of one rank a device. It checkpoints; materialize again to resume one that
    was stopped, in the same MLflow run.
    """
    receipt = stages.run(context, "post_tuned_model")
    curve = picture(output_file(stages, "post_tuned_model", "curve"))
    return materialized(stages, receipt, {"curve": curve})


@dg.asset_check(asset=post_tuned_model, blocking=True)
def losses_are_finite(stages: Stages) -> dg.AssetCheckResult:
    """The training has logged losses, and every one is finite."""
    losses = _logged(stages, "loss")
    bad = sum(not math.isfinite(loss) for loss in losses)
    return dg.AssetCheckResult(
        passed=bool(losses) and bad == 0,
        description=f"{bad} of {len(losses)} logged losses are not finite",
        metadata={"losses logged": len(losses), "not finite": bad},
    )


@dg.asset_check(asset=post_tuned_model)
def validation_loss_falls(stages: Stages) -> dg.AssetCheckResult:
    """The validation loss, over the same clips and noise each time, ends below its start.

    A warning, for the grid of a training that went wrong is worth seeing.
    """
    losses = _logged(stages, "validation_loss")
    if len(losses) < 2:
        return dg.AssetCheckResult(
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description="nothing was held out to validate on: raise clips.held_out_videos",
        )
    return dg.AssetCheckResult(
        passed=losses[-1] < losses[0],
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{losses[0]:.4f} before, {losses[-1]:.4f} after",
        metadata={"before": losses[0], "after": losses[-1]},
    )


@dg.asset_check(asset=post_tuned_model, automation_condition=DAILY)
def no_new_videos_wait(stages: Stages) -> dg.AssetCheckResult:
    """Fewer than `retraining.min_new_videos` files that this model has not seen.

    A warning: whether a new one is worth its GPU-hours is for a person, or for the schedule.
    """
    from exvideo.new_videos import new_videos

    found = new_videos(stages.preset.load())
    return dg.AssetCheckResult(
        passed=not found.enough,
        severity=dg.AssetCheckSeverity.WARN,
        description=str(found),
        metadata={"new video files": found.count},
    )


def _logged(stages: Stages, figure: str) -> list[float]:
    lines = output_file(stages, "post_tuned_model", "metrics").read_text().splitlines()
    return [row[figure] for row in map(json.loads, lines) if figure in row]
