"""The DeepSpeed engine of a post-tuning job, and its float32 weights as ZeRO shards them."""

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from exvideo.config import TrainingConfig
from exvideo.errors import InputError
from exvideo.models import extension_parameters, trainable_parameters
from exvideo.training.deepspeed_config import deepspeed_config
from exvideo.training.distributed import import_deepspeed

Engine = Any
"""`deepspeed.DeepSpeedEngine`, which has no type stubs."""


def start_engine(unet: nn.Module, config: TrainingConfig) -> Engine:
    """Put a float32 U-Net with its trainable parameters under DeepSpeed.

    The optimizer's float32 weights start from the U-Net's, not from their bfloat16 rounding.
    """
    if config.zero_stage == 0 and config.precision == "float32":
        raise InputError(
            "training.zero_stage 0 with precision float32 cannot skip a non-finite step: "
            "set training.zero_stage to 1 or more"
        )
    deepspeed = import_deepspeed()
    logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
    parameters = trainable_parameters(unet)
    weights = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    optimizer = torch.optim.AdamW(
        list(parameters.values()),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=torch.cuda.is_available(),
    )
    engine, *_ = deepspeed.initialize(
        model=unet,
        optimizer=optimizer,
        config=deepspeed_config(config),
        dist_init_required=False,
    )
    write_weights(engine, weights)
    return engine


def float32_weights(engine: Engine) -> list[Tensor]:
    """This rank's share of the optimizer's float32 weights; together they are all of them."""
    if engine.zero_optimization_stage() == 3:
        return [tensor.data for tensor in engine.optimizer.fp32_partitioned_groups_flat]
    if engine.zero_optimization_stage() > 0:
        return [tensor.data for tensor in _partitions(engine.optimizer)]
    return [tensor.data for tensor in engine.basic_optimizer.param_groups[0]["params"]]


def read_weights(engine: Engine) -> dict[str, Tensor]:
    """The float32 weights by parameter name, whole, on the CPU; every rank must ask."""
    from deepspeed.utils import safe_get_full_fp32_param

    parameters = trainable_parameters(engine.module)
    if engine.zero_optimization_stage() == 0:
        weights = zip(parameters, float32_weights(engine), strict=True)
        return {name: weight.cpu().clone() for name, weight in weights}
    return {name: safe_get_full_fp32_param(p).cpu() for name, p in parameters.items()}


def write_weights(engine: Engine, weights: Mapping[str, Tensor]) -> None:
    """Set the float32 weights, each rank its share; the U-Net's own follow at the next step."""
    from deepspeed.utils import safe_set_full_fp32_param

    parameters = trainable_parameters(engine.module)
    if engine.zero_optimization_stage() == 0:
        for name, weight in zip(parameters, float32_weights(engine), strict=True):
            weight.copy_(weights[name])
        return
    for name, parameter in parameters.items():
        safe_set_full_fp32_param(parameter, weights[name])


def whole_parameters(unet: nn.Module) -> AbstractContextManager[None]:
    """Within the block the extension's parameters are whole, which ZeRO-3 otherwise shards."""
    deepspeed = import_deepspeed()
    return deepspeed.zero.GatheredParameters(list(extension_parameters(unet).values()))


def _partitions(optimizer: Any) -> list[Tensor]:
    if hasattr(optimizer, "single_partition_of_fp32_groups"):
        return optimizer.single_partition_of_fp32_groups
    return optimizer.fp32_groups_flat_partition  # stage 1 with bfloat16
