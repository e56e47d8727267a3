"""CogVideoX: rotary positions simply run on, and LoRA learns what lies beyond the native length.

As in the original's second release. The model has neither a table nor a place for a convolution:
`table_init` and `conv` mean nothing here.
"""

import torch
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXTransformer3DModel

from exvideo.models.architecture import Architecture, register
from exvideo.models.identity_conv import ConvKind


def install(
    transformer: CogVideoXTransformer3DModel, positions: torch.Tensor, conv: ConvKind
) -> None:
    """Nothing to install; a learned table of joint positions could not run on."""
    if transformer.config["use_learned_positional_embeddings"]:
        raise ValueError(
            "This CogVideoX adds learned positions of a fixed length to its rotary ones "
            "(CogVideoX-5B-I2V): it can't be extended."
        )


register(
    Architecture(
        model=CogVideoXTransformer3DModel,
        install=install,
        native_frames=lambda transformer: transformer.config["sample_frames"],
        added=r"$^",
        trained=r"$^",
        lora_targets=r"transformer_blocks\.\d+\.attn1\.(to_q|to_k|to_v|to_out\.0)",
        default_lora_rank=64,
        length_keys=("num_frames", "sample_frames"),
    )
)
