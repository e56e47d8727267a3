"""Stability's single-file checkpoints: where each tensor of diffusers' parts lies in them.

diffusers' own single-file loader does not know Stable Video Diffusion (0.42). Names as in
Stability's generative-models: the conditioning VAE's encoder, not the first stage's, is the one
that comes with `quant_conv`.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

UNET = "model.diffusion_model."
ENCODER = "conditioner.embedders.3.encoder."
DECODER = "first_stage_model."
CLIP = "conditioner.embedders.0.open_clip.model.visual."

Rules = list[tuple[str, str | Callable[[re.Match[str]], str]]]


def load_single_file(model: nn.Module, path: Path, part: str, config: dict[str, Any]) -> nn.Module:
    """Fill a model without memory from a single file; `part` as in diffusers' folders.

    Raises:
        ValueError: with every tensor that the file lacks or has in another shape.
    """
    source: Callable[[str], str] = {
        "unet": lambda name: _unet_name(name, config["layers_per_block"]),
        "vae": lambda name: _vae_name(name, len(config.get("block_out_channels", ()))),
        "image_encoder": _clip_name,
    }[part]
    state, faults = {}, []
    with safe_open(path, framework="pt") as file:
        present = set(file.keys())
        for name, tensor in model.state_dict().items():
            original = source(name)
            if original not in present:
                faults.append(f"missing: {original}")
                continue
            found = _fit(file.get_tensor(original), name)
            if found.shape != tensor.shape:
                faults.append(
                    f"shape of {original}: {list(found.shape)} instead of {list(tensor.shape)}"
                )
            state[name] = found
    if faults:
        raise ValueError(f"{path} is no {part} of this size:\n  " + "\n  ".join(faults))
    model.load_state_dict(state, assign=True)
    return model


def _fit(tensor: torch.Tensor, name: str) -> torch.Tensor:
    """What a tensor of the file is in diffusers' form."""
    projection = re.search(r"self_attn\.([qkv])_proj", name)
    if projection:
        return tensor.chunk(3)["qkv".index(projection[1])].clone()
    if name == "visual_projection.weight":
        return tensor.T.contiguous()
    if re.search(r"attentions\.0\.to_\w+(\.0)?\.weight", name) and tensor.ndim == 4:
        return tensor[:, :, 0, 0]
    return tensor


def _rename(name: str, rules: Rules) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


RESNET: Rules = [
    (r"\bspatial_res_block\.", ""),
    (r"\btemporal_res_block\.", "time_stack."),
]
OPENAI_RESNET: Rules = [
    (r"\bnorm1\.", "in_layers.0."),
    (r"\bconv1\.", "in_layers.2."),
    (r"\btime_emb_proj\.", "emb_layers.1."),
    (r"\bnorm2\.", "out_layers.0."),
    (r"\bconv2\.", "out_layers.3."),
    (r"\bconv_shortcut\.", "skip_connection."),
]


def _unet_name(name: str, layers: int) -> str:
    """A U-Net of `layers` layers a level; its way up has one more."""

    def down(match: re.Match[str]) -> str:
        block, layer = int(match[1]), int(match[3])
        kind = {"resnets": "0", "attentions": "1"}[match[2]]
        return f"input_blocks.{1 + block * (layers + 1) + layer}.{kind}."

    def up(match: re.Match[str]) -> str:
        block, layer = int(match[1]), int(match[3])
        kind = {"resnets": "0", "attentions": "1"}[match[2]]
        return f"output_blocks.{block * (layers + 1) + layer}.{kind}."

    def upsampler(match: re.Match[str]) -> str:
        # The way up's first level has no attention, so its upsampler comes one place earlier.
        block = int(match[1])
        return f"output_blocks.{block * (layers + 1) + layers}.{1 if block == 0 else 2}.conv."

    rules: Rules = [
        (r"^time_embedding\.linear_1\.", "time_embed.0."),
        (r"^time_embedding\.linear_2\.", "time_embed.2."),
        (r"^add_embedding\.linear_1\.", "label_emb.0.0."),
        (r"^add_embedding\.linear_2\.", "label_emb.0.2."),
        (r"^conv_in\.", "input_blocks.0.0."),
        (r"^conv_norm_out\.", "out.0."),
        (r"^conv_out\.", "out.2."),
        (r"^down_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.", down),
        (
            r"^down_blocks\.(\d+)\.downsamplers\.0\.conv\.",
            lambda match: f"input_blocks.{(int(match[1]) + 1) * (layers + 1)}.0.op.",
        ),
        (r"^mid_block\.resnets\.0\.", "middle_block.0."),
        (r"^mid_block\.attentions\.0\.", "middle_block.1."),
        (r"^mid_block\.resnets\.1\.", "middle_block.2."),
        (r"^up_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.", up),
        (r"^up_blocks\.(\d+)\.upsamplers\.0\.conv\.", upsampler),
        (r"\btemporal_transformer_blocks\.", "time_stack."),
        (r"\btime_pos_embed\.linear_1\.", "time_pos_embed.0."),
        (r"\btime_pos_embed\.linear_2\.", "time_pos_embed.2."),
    ]
    if "_res_block." in name:
        rules = rules + RESNET + OPENAI_RESNET
    return UNET + _rename(name, rules)


def _vae_name(name: str, levels: int) -> str:
    """Stability's decoder numbers its levels from the image's side."""
    rules: Rules = [
        (r"\bconv_norm_out\.", "norm_out."),
        (r"\btime_conv_out\.", "conv_out.time_mix_conv."),
        (r"\bdown_blocks\.(\d+)\.resnets\.(\d+)\.", r"down.\1.block.\2."),
        (r"\bdown_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample."),
        (
            r"\bup_blocks\.(\d+)\.(resnets|upsamplers)\.(\d+)\.",
            lambda match: (
                f"up.{levels - 1 - int(match[1])}."
                + (f"block.{match[3]}." if match[2] == "resnets" else "upsample.")
            ),
        ),
        (r"\bmid_block\.resnets\.0\.", "mid.block_1."),
        (r"\bmid_block\.resnets\.1\.", "mid.block_2."),
        (r"\bmid_block\.attentions\.0\.", "mid.attn_1."),
        (r"\bgroup_norm\.", "norm."),
        (r"\bto_([qkv])\.", r"\1."),
        (r"\bto_out\.0\.", "proj_out."),
        (r"\btime_mixer\.mix_factor", "mix_factor"),
    ]
    if "temporal_res_block." in name:
        rules = rules + RESNET + OPENAI_RESNET
    else:
        rules = [*rules, *RESNET, (r"\bconv_shortcut\.", "nin_shortcut.")]
    return (DECODER if name.startswith("decoder.") else ENCODER) + _rename(name, rules)


def _clip_name(name: str) -> str:
    rules: Rules = [
        (r"^vision_model\.embeddings\.class_embedding", "class_embedding"),
        (r"^vision_model\.embeddings\.patch_embedding\.", "conv1."),
        (r"^vision_model\.embeddings\.position_embedding\.weight", "positional_embedding"),
        (r"^vision_model\.pre_layrnorm\.", "ln_pre."),
        (r"^vision_model\.post_layernorm\.", "ln_post."),
        (r"^visual_projection\.weight", "proj"),
        (r"^vision_model\.encoder\.layers\.", "transformer.resblocks."),
        (r"\bself_attn\.[qkv]_proj\.(weight|bias)", r"attn.in_proj_\1"),
        (r"\bself_attn\.out_proj\.", "attn.out_proj."),
        (r"\blayer_norm([12])\.", r"ln_\1."),
        (r"\bmlp\.fc1\.", "mlp.c_fc."),
        (r"\bmlp\.fc2\.", "mlp.c_proj."),
    ]
    return CLIP + _rename(name, rules)
