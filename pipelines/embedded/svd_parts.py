"""The embedded Stable Video Diffusion's parts other than the VAE, at their small size."""

from pathlib import Path

import torch
from diffusers import EulerDiscreteScheduler, StableVideoDiffusionPipeline
from diffusers.models import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel
from diffusers.models.resnet import ResnetBlock2D, TemporalResnetBlock
from torch import nn
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

NATIVE_FRAMES = 8
EMBEDDING = 32


def build_unet(seed: int = 0) -> UNetSpatioTemporalConditionModel:
    """The U-Net with random weights; 7.3 million parameters.

    No attention at 16x16, where it costs more than all the rest; the temporal residual blocks are
    everywhere, as in SVD. Two levels only: 128 channels at 8x8 hold all that 16x16 latents do, so
    the picture can be moved there, where the frames' positions are known. No level has 32 channels:
    diffusers normalises in 32 groups, and a group of one channel takes away the channel's mean and
    contrast, and with them the picture's.
    """
    torch.manual_seed(seed)
    unet = UNetSpatioTemporalConditionModel(
        sample_size=16,
        in_channels=8,
        out_channels=4,
        down_block_types=("DownBlockSpatioTemporal", "CrossAttnDownBlockSpatioTemporal"),
        up_block_types=("CrossAttnUpBlockSpatioTemporal", "UpBlockSpatioTemporal"),
        block_out_channels=(64, 128),
        num_attention_heads=(2, 4),
        layers_per_block=1,
        transformer_layers_per_block=1,
        cross_attention_dim=EMBEDDING,
        addition_time_embed_dim=32,
        projection_class_embeddings_input_dim=96,
        num_frames=NATIVE_FRAMES,
    )
    start_residuals_at_zero(unet)
    for parameter in unet.conv_out.parameters():
        nn.init.zeros_(parameter)
    return unet


def start_residuals_at_zero(model: nn.Module) -> None:
    """Let every residual block start as the identity: a deep model then learns at once."""
    for block in model.modules():
        if isinstance(block, ResnetBlock2D | TemporalResnetBlock):
            for parameter in block.conv2.parameters():
                nn.init.zeros_(parameter)


def save_image_encoder(folder: Path, seed: int = 0) -> None:
    """Write `image_encoder` and `feature_extractor`: a small CLIP tower of seeded random weights.

    224 px is the size that diffusers' pipeline prepares for CLIP, whatever the encoder.
    """
    torch.manual_seed(seed)
    config = CLIPVisionConfig(
        hidden_size=64,
        intermediate_size=128,
        projection_dim=EMBEDDING,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=224,
        patch_size=32,
    )
    CLIPVisionModelWithProjection(config).save_pretrained(folder / "image_encoder")
    CLIPImageProcessor().save_pretrained(folder / "feature_extractor")


def scheduler() -> EulerDiscreteScheduler:
    """SVD's own sampler, v-prediction over Karras sigmas, from 80 to 0.01 (SVD: 700 to 0.002).

    80 hides 16x16 latents completely, and the steps saved go where the picture is made.
    """
    return EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        interpolation_type="linear",
        prediction_type="v_prediction",
        sigma_max=80.0,
        sigma_min=0.01,
        timestep_spacing="leading",
        timestep_type="continuous",
        steps_offset=1,
        use_karras_sigmas=True,
    )


def assemble(
    unet: UNetSpatioTemporalConditionModel, vae: AutoencoderKLTemporalDecoder, folder: Path
) -> StableVideoDiffusionPipeline:
    """diffusers' pipeline of this U-Net and VAE with the image encoder found in `folder`."""
    return StableVideoDiffusionPipeline(
        vae=vae,
        image_encoder=CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder"),
        unet=unet,
        scheduler=scheduler(),
        feature_extractor=CLIPImageProcessor.from_pretrained(folder / "feature_extractor"),
    )
