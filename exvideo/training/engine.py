"""DeepSpeed's engine of a post-tuning job."""

import logging
from typing import Any

import torch
from torch import nn

from exvideo.config import TrainingConfig
from exvideo.errors import InputError
from exvideo.models import trainable_parameters
from exvideo.training.distributed import import_deepspeed
from exvideo.training.partitions import Engine, weight_slices


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
    for it in weight_slices(engine):
        it.values.copy_(weights[it.name].view(-1)[it.start : it.start + len(it.values)])
    return engine


def deepspeed_config(config: TrainingConfig) -> dict[str, Any]:
    """The document that `deepspeed.initialize` takes, the same on CPUs and GPUs."""
    document: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": config.micro_batch_size,
        "gradient_accumulation_steps": config.accumulate,
        "gradient_clipping": config.max_grad_norm,
        "bf16": {"enabled": config.precision == "bfloat16"},
        "zero_optimization": {
            "stage": config.zero_stage,
            "contiguous_gradients": True,
            "overlap_comm": True,
            "reduce_bucket_size": 50_000_000,
            "allgather_bucket_size": 50_000_000,
        },
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 1_000_000_000,
    }
    if config.offload_optimizer:
        offload = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
        document["zero_optimization"]["offload_optimizer"] = offload
    if config.accumulate > 1 and config.zero_stage > 1:
        # Sums of many bfloat16 gradients lose what each adds; of one there is nothing to lose.
        document["data_types"] = {"grad_accum_dtype": "fp32"}
    return document
