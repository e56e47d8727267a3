"""ModelScope's text-to-video U-Net: its temporal attention, which knew no positions, gets some.

The temporal convolutions are kept as they are and frozen.
"""

import torch
from diffusers.models.transformers.transformer_temporal import TransformerTemporalModel
from diffusers.models.unets.unet_3d_condition import UNet3DConditionModel

from exvideo.models.architecture import Architecture, register
from exvideo.models.identity_conv import ConvKind
from exvideo.models.temporal_transformer import ExtendedTemporalModel, extend_block


def install(unet: UNet3DConditionModel, positions: torch.Tensor, conv: ConvKind) -> None:
    """Rows start at zero: before training the attention still knows no positions."""
    for module in unet.modules():
        if isinstance(module, TransformerTemporalModel):
            for block in module.transformer_blocks:
                weight = block.norm1.weight
                extend_block(block, weight.new_zeros(len(positions), len(weight)).detach(), conv)
            module.__class__ = ExtendedTemporalModel


register(
    Architecture(
        model=UNet3DConditionModel,
        install=install,
        # Its configuration does not say; the published model was trained on clips of 16 frames.
        native_frames=lambda unet: 16,
        added=r".*\.positional_(embedding|conv)\..*",
        trained=r"(.*\.temp_attentions|transformer_in)\..*",
        lora_targets=r"(.*\.temp_attentions|transformer_in)\..*\.attn[12]\.(to_q|to_k|to_v|to_out\.0)",
    )
)
