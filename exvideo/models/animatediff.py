"""AnimateDiff: the motion modules' tables of positions become longer and trainable."""

import torch
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D, UNetMotionModel

from exvideo.models.architecture import Architecture, register
from exvideo.models.identity_conv import ConvKind
from exvideo.models.temporal_transformer import ExtendedMotionModule, extend_block


def install(unet: UNetMotionModel, positions: torch.Tensor, conv: ConvKind) -> None:
    """Each block's rows start from the base's own, sinusoidal or learned."""
    for module in unet.modules():
        if isinstance(module, AnimateDiffTransformer3D):
            for block in module.transformer_blocks:
                rows = block.get_submodule("pos_embed").get_buffer("pe")[0]
                extend_block(block, rows[positions.to(rows.device)].clone(), conv)
            module.__class__ = ExtendedMotionModule


register(
    Architecture(
        model=UNetMotionModel,
        install=install,
        native_frames=lambda unet: unet.config["motion_max_seq_length"],
        added=r".*\.motion_modules\..*\.positional_(embedding|conv)\..*",
        trained=r".*\.motion_modules\..*",
        lora_targets=r".*\.motion_modules\..*\.attn[12]\.(to_q|to_k|to_v|to_out\.0)",
    )
)
