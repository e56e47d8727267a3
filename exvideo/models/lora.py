"""LoRA on the temporal self-attentions, in place of training whole temporal blocks."""

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn


def add_lora(model: nn.Module, rank: int, targets: str) -> None:
    """Put a low-rank update, zero before training, beside each linear layer whose name matches.

    Args:
        targets: regular expression of the layers' whole names.
    """
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=targets)
    inject_adapter_in_model(config, model)


def merge_lora(model: nn.Module) -> None:
    """Add every low-rank update to its layer's own weight and leave the plain layer."""
    for name, module in list(model.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge()
            model.set_submodule(name, module.get_base_layer())
