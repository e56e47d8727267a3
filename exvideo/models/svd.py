"""Stable Video Diffusion's U-Net, extended to longer clips (ExVideo, section 3)."""

from collections.abc import Callable
from typing import Any

import torch
from diffusers.models.modeling_utils import ModelMixin  # noqa: F401  # see ExtendedUNet
from diffusers.models.transformers.transformer_temporal import (
    TransformerSpatioTemporalModel,
    TransformerTemporalModelOutput,
)
from diffusers.models.unets.unet_spatio_temporal_condition import (
    UNetSpatioTemporalConditionModel,
)
from torch import nn

from exvideo.models.architecture import Architecture, register
from exvideo.models.extend import extend
from exvideo.models.identity_conv import ConvKind, identity_conv
from exvideo.models.positions import PositionTable

NOTES = ("base_id", "post_tuning")
"""What else a U-Net's configuration may say: where its base and its trained tensors come from."""


class ExtendedTransformer(TransformerSpatioTemporalModel):
    """diffusers' spatio-temporal transformer with a table of positions and an identity convolution.

    With x [B*T, H*W, C] out of the spatial block, the temporal block receives
    conv(x + time_pos_embed(table[:T])): the table takes the place of the sinusoid that fed the
    base's position MLP, the convolution runs over [B, C, T, H, W], and its output replaces its
    input. With several layers a transformer, they share the table and the convolution.
    """

    positional_embedding: PositionTable
    positional_conv: nn.Module
    _gradient_checkpointing_func: Callable[..., torch.Tensor]

    def temporal_part(
        self,
        temporal_block: nn.Module,
        x: torch.Tensor,
        time_context: torch.Tensor,
        clip_shape: tuple[int, int, int, int],
    ) -> torch.Tensor:
        """Positions, convolution and temporal block on x [B*T, H*W, C].

        Args:
            temporal_block: diffusers' `TemporalBasicTransformerBlock`.
            x: hidden states of the spatial block.
            time_context: [B*H*W, 1, D], each clip's image embedding.
            clip_shape: (B, T, H, W).
        """
        batch, frames, height, width = clip_shape
        table = self.positional_embedding(frames).to(x.dtype)
        positions = self.time_pos_embed(table).to(x.dtype)
        x = x.view(batch, frames, height, width, -1) + positions[:, None, None]
        x = self.positional_conv(x.permute(0, 4, 1, 2, 3))
        x = x.permute(0, 2, 3, 4, 1).reshape(batch * frames, height * width, -1)
        return temporal_block(x, num_frames=frames, encoder_hidden_states=time_context)

    def forward(  # type: ignore[override]  # the U-Net always passes all three
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        image_only_indicator: torch.Tensor,
        return_dict: bool = True,
    ) -> TransformerTemporalModelOutput | tuple[torch.Tensor]:
        """As the base's: [B*T, C, H, W] to the same shape, context [B*T, 1, D].

        `gradient_checkpointing` covers the temporal part too, which the base's does not.
        """
        batch_frames, _, height, width = hidden_states.shape
        frames = image_only_indicator.shape[-1]
        batch = batch_frames // frames
        time_context = encoder_hidden_states[::frames].repeat_interleave(height * width, dim=0)

        x = self.norm(hidden_states).flatten(2).transpose(1, 2)
        x = self.proj_in(x)
        for block, temporal_block in zip(
            self.transformer_blocks, self.temporal_transformer_blocks, strict=True
        ):
            x = self._run(block, x, None, encoder_hidden_states)
            mixed = self._run(
                self.temporal_part, temporal_block, x, time_context, (batch, frames, height, width)
            )
            x = self.time_mixer(
                x_spatial=x, x_temporal=mixed, image_only_indicator=image_only_indicator
            )
        x = self.proj_out(x).transpose(1, 2).unflatten(2, (height, width))
        x = x.contiguous() + hidden_states
        return TransformerTemporalModelOutput(sample=x) if return_dict else (x,)

    def _run(self, part: Any, *inputs: Any) -> torch.Tensor:
        if self.gradient_checkpointing and torch.is_grad_enabled():
            return self._gradient_checkpointing_func(part, *inputs)
        return part(*inputs)


class ExtendedUNet(UNetSpatioTemporalConditionModel):
    """diffusers' SVD U-Net whose spatio-temporal transformers are extended.

    Its configuration is the base's with `num_frames` = N and an entry `extension`, from which
    `from_pretrained` rebuilds the extended modules. (diffusers loads a pipeline's part only if
    the part's own module has the name `ModelMixin` too.)
    """

    @classmethod
    def from_config(
        cls, config: Any = None, return_unused_kwargs: bool = False, **kwargs: Any
    ) -> Any:
        config = dict(config)
        if "extension" not in config:
            raise ValueError(
                "This configuration is a base's: load it as UNetSpatioTemporalConditionModel and "
                "call exvideo.models.extend."
            )
        notes = {key: config.pop(key) for key in NOTES if key in config}
        extension = config.pop("extension")
        num_frames = config.pop("num_frames")
        unet = UNetSpatioTemporalConditionModel.from_config(
            config, num_frames=extension["native_frames"], **kwargs
        )
        extend(unet, num_frames, **extension)
        unet.register_to_config(**notes)
        return (unet, {}) if return_unused_kwargs else unet


def transformers(unet: nn.Module) -> dict[str, TransformerSpatioTemporalModel]:
    """The spatio-temporal transformers by their names, in the order of the forward pass."""
    found = {
        name: module
        for name, module in unet.named_modules()
        if isinstance(module, TransformerSpatioTemporalModel)
    }
    # The U-Net registers its middle after its way up.
    order = ["down_blocks", "mid_block", "up_blocks"]
    return dict(sorted(found.items(), key=lambda item: order.index(item[0].split(".")[0])))


def initial_table(
    transformer: TransformerSpatioTemporalModel, positions: torch.Tensor
) -> torch.Tensor:
    """The sinusoid that the base fed its position MLP, row by row, [N, C]."""
    weight = transformer.proj_in.weight
    return transformer.time_proj(positions).to(weight.device, weight.dtype)


def install(
    unet: UNetSpatioTemporalConditionModel, positions: torch.Tensor, conv: ConvKind
) -> None:
    """Give every transformer its table and its convolution, and the U-Net its extended class."""
    for transformer in transformers(unet).values():
        weight = transformer.proj_in.weight
        table = initial_table(transformer, positions)
        positional_conv = identity_conv(
            transformer.in_channels, conv, device=weight.device, dtype=weight.dtype
        )
        # The class changes and the object stays: its names, tensors and hooks are still the base's.
        transformer.__class__ = ExtendedTransformer
        transformer.positional_embedding = PositionTable(table)
        transformer.positional_conv = positional_conv
    unet.__class__ = ExtendedUNet


register(
    Architecture(
        model=UNetSpatioTemporalConditionModel,
        install=install,
        native_frames=lambda unet: unet.config["num_frames"],
        added=r".*\.positional_(embedding|conv)\..*",
        trained=r".*\.(time_pos_embed|temporal_transformer_blocks)\..*",
        lora_targets=r".*\.temporal_transformer_blocks\.\d+\.attn1\.(to_q|to_k|to_v|to_out\.0)",
    )
)
