"""The base model, extended and post-tuned."""

import json
import math

import dagster as dg

from assets.latent_shards import latent_shards
from assets.metadata import describe, output_file, picture
from dagster_project.stages import Stages


@dg.asset(
    deps=[latent_shards],
    group_name="model",
    kinds={"deepspeed", "pytorch", "mlflow"},
    code_version="1",
    pool="accelerator",
)
def post_tuned_model(context: dg.AssetExecutionContext, stages: Stages) -> dg.MaterializeResult:
    """The trained tensors (their exponential moving average) as one safetensors file.

    A DeepSpeed job of one rank a device. It checkpoints; materialize again to resume one that
    was stopped, in the same MLflow run.
    """
    receipt = stages.run(context, "post_tuned_model")
    return dg.MaterializeResult(
        metadata={
            **describe(stages.preset.load(), receipt),
            "curve": picture(output_file(stages, "post_tuned_model", "curve")),
        },
        data_version=dg.DataVersion(receipt.digest),
    )


@dg.asset_check(asset=post_tuned_model, blocking=True)
def loss_is_finite_and_falls(stages: Stages) -> dg.AssetCheckResult:
    """Every loss is finite, and the validation loss (same noise each time) ends below its start."""
    lines = output_file(stages, "post_tuned_model", "metrics").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    losses = [row["loss"] for row in rows if "loss" in row]
    validation = [row["validation_loss"] for row in rows if "validation_loss" in row]
    return dg.AssetCheckResult(
        passed=all(math.isfinite(loss) for loss in losses + validation)
        and bool(losses)
        and validation[-1] < validation[0],
        metadata={
            "steps logged": len(losses),
            "validation loss, first": validation[0],
            "validation loss, last": validation[-1],
        },
    )
