import copy

import pytest
import torch
from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from exvideo.config import PretrainedBase, RandomBase
from exvideo.config.base_folder import SVD_XT
from exvideo.models import (
    BaseModelError,
    base_id,
    load_image_encoder,
    load_pipeline,
    load_unet,
    load_vae,
)
from exvideo.models.single_file import CLIP, _clip_name, _unet_name, _vae_name
from tests.models.tiny import TINY_SVD

UNET_EXAMPLES = {
    "time_embedding.linear_2.bias": "time_embed.2.bias",
    "conv_out.weight": "out.2.weight",
    "down_blocks.0.resnets.1.spatial_res_block.conv1.weight": "input_blocks.2.0.in_layers.2.weight",
    "down_blocks.0.downsamplers.0.conv.weight": "input_blocks.3.0.op.weight",
    "down_blocks.1.resnets.0.temporal_res_block.time_emb_proj.bias": (
        "input_blocks.4.0.time_stack.emb_layers.1.bias"
    ),
    "down_blocks.1.resnets.0.spatial_res_block.conv_shortcut.weight": (
        "input_blocks.4.0.skip_connection.weight"
    ),
    "down_blocks.2.attentions.1.time_mixer.mix_factor": "input_blocks.8.1.time_mixer.mix_factor",
    "mid_block.attentions.0.temporal_transformer_blocks.0.norm_in.weight": (
        "middle_block.1.time_stack.0.norm_in.weight"
    ),
    "mid_block.resnets.1.time_mixer.mix_factor": "middle_block.2.time_mixer.mix_factor",
    "up_blocks.0.upsamplers.0.conv.bias": "output_blocks.2.1.conv.bias",
    "up_blocks.1.attentions.2.time_pos_embed.linear_1.weight": (
        "output_blocks.5.1.time_pos_embed.0.weight"
    ),
    "up_blocks.1.upsamplers.0.conv.bias": "output_blocks.5.2.conv.bias",
    "up_blocks.3.attentions.2.transformer_blocks.0.attn1.to_out.0.bias": (
        "output_blocks.11.1.transformer_blocks.0.attn1.to_out.0.bias"
    ),
}
VAE_EXAMPLES = {
    "quant_conv.weight": "conditioner.embedders.3.encoder.quant_conv.weight",
    "encoder.down_blocks.1.resnets.0.conv_shortcut.weight": (
        "conditioner.embedders.3.encoder.encoder.down.1.block.0.nin_shortcut.weight"
    ),
    "encoder.down_blocks.2.downsamplers.0.conv.bias": (
        "conditioner.embedders.3.encoder.encoder.down.2.downsample.conv.bias"
    ),
    "encoder.mid_block.attentions.0.to_out.0.weight": (
        "conditioner.embedders.3.encoder.encoder.mid.attn_1.proj_out.weight"
    ),
    "encoder.conv_norm_out.bias": "conditioner.embedders.3.encoder.encoder.norm_out.bias",
    "decoder.up_blocks.0.resnets.2.temporal_res_block.norm2.weight": (
        "first_stage_model.decoder.up.3.block.2.time_stack.out_layers.0.weight"
    ),
    "decoder.up_blocks.3.resnets.0.time_mixer.mix_factor": (
        "first_stage_model.decoder.up.0.block.0.mix_factor"
    ),
    "decoder.mid_block.resnets.1.spatial_res_block.norm1.bias": (
        "first_stage_model.decoder.mid.block_2.norm1.bias"
    ),
    "decoder.time_conv_out.bias": "first_stage_model.decoder.conv_out.time_mix_conv.bias",
}
CLIP_EXAMPLES = {
    "vision_model.embeddings.position_embedding.weight": "positional_embedding",
    "vision_model.encoder.layers.10.mlp.fc2.bias": "transformer.resblocks.10.mlp.c_proj.bias",
    "vision_model.encoder.layers.3.self_attn.k_proj.bias": (
        "transformer.resblocks.3.attn.in_proj_bias"
    ),
    "vision_model.pre_layrnorm.weight": "ln_pre.weight",
}


def to_single_file(pipeline) -> dict[str, torch.Tensor]:
    """A tiny pipeline's tensors as Stability lays them out."""
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in pipeline.unet.state_dict().items():
        tensors[_unet_name(name, layers=1)] = tensor
    for name, tensor in pipeline.vae.state_dict().items():
        is_projection = ".attentions.0.to_" in name and name.endswith("weight")
        tensors[_vae_name(name, levels=4)] = tensor[..., None, None] if is_projection else tensor
    encoder = pipeline.image_encoder.state_dict()
    for name, tensor in encoder.items():
        if ".q_proj." in name:
            parts = [encoder[name.replace("q_proj", f"{x}_proj")] for x in "qkv"]
            tensors[_clip_name(name)] = torch.cat(parts)
        elif ".k_proj." not in name and ".v_proj." not in name:
            tensors[_clip_name(name)] = tensor.T if name.startswith("visual_proj") else tensor
    return {name: tensor.contiguous() for name, tensor in copy.copy(tensors).items()}


@pytest.fixture
def svd_file(tmp_path):
    """A single file beside its configurations, as in Stability's repository."""
    pipeline = load_pipeline(TINY_SVD)
    for part in ("unet", "vae"):
        getattr(pipeline, part).save_config(tmp_path / part)
    pipeline.image_encoder.config.save_pretrained(tmp_path / "image_encoder")
    pipeline.scheduler.save_config(tmp_path / "scheduler")
    pipeline.feature_extractor.save_pretrained(tmp_path / "feature_extractor")
    save_file(to_single_file(pipeline), tmp_path / "svd.safetensors")
    return tmp_path / "svd.safetensors"


def pretrained(path) -> PretrainedBase:
    return PretrainedBase(kind="pretrained", path=str(path))


@pytest.mark.parametrize(
    ("names", "examples"),
    [
        (lambda name: _unet_name(name, 2).removeprefix("model.diffusion_model."), UNET_EXAMPLES),
        (lambda name: _vae_name(name, 4), VAE_EXAMPLES),
        (lambda name: _clip_name(name).removeprefix(CLIP), CLIP_EXAMPLES),
    ],
)
def test_names_are_stabilitys(names, examples):
    assert {name: names(name) for name in examples} == examples


def test_at_full_size_every_tensor_has_a_place_of_its_own():
    with torch.device("meta"):
        unet = UNetSpatioTemporalConditionModel.from_config(
            UNetSpatioTemporalConditionModel.load_config(SVD_XT / "unet")
        )
        vae = AutoencoderKLTemporalDecoder.from_config(
            AutoencoderKLTemporalDecoder.load_config(SVD_XT / "vae")
        )
        encoder = CLIPVisionModelWithProjection(
            CLIPVisionConfig.from_pretrained(SVD_XT / "image_encoder")
        )
    sizes = [sum(p.numel() for p in model.parameters()) for model in (unet, vae, encoder)]
    assert sizes == [1_524_623_082, 97_742_847, 632_076_800]
    assert len({_unet_name(name, 2) for name in unet.state_dict()}) == 1428
    assert len({_vae_name(name, 4) for name in vae.state_dict()}) == len(vae.state_dict())
    # Query, key and value of each of 32 layers lie in one tensor, their biases in another.
    found = {_clip_name(name) for name in encoder.state_dict()}
    assert len(found) == len(encoder.state_dict()) - 32 * 4


def test_a_single_file_loads_as_the_folder_does(svd_file):
    base = pretrained(svd_file)
    for load in (load_unet, load_vae, lambda base: load_image_encoder(base)[0]):
        expected, found = load(TINY_SVD).state_dict(), load(base).state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_its_identity_is_its_content(svd_file):
    twin = svd_file.with_name("twin.safetensors")
    twin.write_bytes(svd_file.read_bytes())
    assert base_id(pretrained(twin)) == base_id(pretrained(svd_file))
    assert load_unet(pretrained(svd_file)).config["base_id"] == base_id(pretrained(svd_file))


def test_a_file_without_configurations_is_taken_for_svd_xt(svd_file, tmp_path):
    lone = tmp_path / "alone" / "svd.safetensors"
    lone.parent.mkdir()
    lone.write_bytes(svd_file.read_bytes())
    with pytest.raises(BaseModelError, match=r"missing: .*output_blocks\.11\.0"):
        load_unet(pretrained(lone))


def test_missing_and_misshapen_tensors_are_named(svd_file):
    tensors = load_file(svd_file)
    del tensors["model.diffusion_model.out.2.bias"]
    tensors["model.diffusion_model.out.0.bias"] = torch.zeros(3)
    save_file(tensors, svd_file)
    with pytest.raises(BaseModelError) as refusal:
        load_unet(pretrained(svd_file))
    assert "missing: model.diffusion_model.out.2.bias" in str(refusal.value)
    assert "shape of model.diffusion_model.out.0.bias: [3] instead of [32]" in str(refusal.value)


def test_svd_xts_configurations_also_make_random_bases():
    base = RandomBase(kind="random", path=str(SVD_XT), seed=0)
    assert base_id(base).startswith("random:")
