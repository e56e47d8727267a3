"""The paper's rules on AnimateDiff, ModelScope and CogVideoX: tiny models of the real classes."""

import copy

import pytest
import torch
from diffusers import (
    AnimateDiffPipeline,
    AutoencoderKL,
    AutoencoderKLCogVideoX,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    DDIMScheduler,
    MotionAdapter,
    TextToVideoSDPipeline,
    UNet2DConditionModel,
    UNet3DConditionModel,
    UNetMotionModel,
)
from diffusers.models.embeddings import get_3d_rotary_pos_embed

from exvideo.models import (
    ExtensionMetadata,
    checkpoint_activations,
    extend,
    extension_parameters,
    extension_state,
    load_extension,
    resize,
    save_extension,
    to_full_form,
    trainable_parameters,
)
from exvideo.models.positions import PositionTable, native_positions
from tests.models.test_identity_conv import plain_conv
from tests.models.tiny import randomise

FRAMES = 12
CONTEXT = 32


def animatediff() -> UNetMotionModel:
    image_unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(32, 64),
        layers_per_block=1,
        cross_attention_dim=CONTEXT,
        attention_head_dim=8,
        norm_num_groups=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )
    adapter = MotionAdapter(
        block_out_channels=(32, 64),
        motion_layers_per_block=1,
        motion_norm_num_groups=8,
        motion_num_attention_heads=4,
        motion_max_seq_length=8,
    )
    return UNetMotionModel.from_unet2d(image_unet, adapter)


def modelscope() -> UNet3DConditionModel:
    return UNet3DConditionModel(
        sample_size=8,
        block_out_channels=(32, 64),
        layers_per_block=1,
        cross_attention_dim=CONTEXT,
        attention_head_dim=8,
        norm_num_groups=8,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
    )


def cogvideox(**config) -> CogVideoXTransformer3DModel:
    settings = {
        "num_attention_heads": 2,
        "attention_head_dim": 16,
        "in_channels": 4,
        "out_channels": 4,
        "time_embed_dim": 8,
        "text_embed_dim": CONTEXT,
        "num_layers": 2,
        "sample_width": 4,
        "sample_height": 4,
        "sample_frames": 9,
        "max_text_seq_length": 3,
        "use_rotary_positional_embeddings": True,
    }
    return CogVideoXTransformer3DModel(**(settings | config))


def run_unet(unet, frames: int, batch: int = 1) -> torch.Tensor:
    """AnimateDiff's and ModelScope's U-Nets take latents [B, C, T, H, W]."""
    generator = torch.Generator().manual_seed(2)
    latents = torch.randn(batch, 4, frames, 4, 4, generator=generator)
    context = torch.randn(batch, 3, CONTEXT, generator=generator)
    if isinstance(unet, UNetMotionModel):
        context = context.repeat_interleave(frames, dim=0)
    return unet(latents, torch.tensor(10.0), context).sample


def run_cogvideox(transformer, frames: int, batch: int = 1) -> torch.Tensor:
    """CogVideoX takes latents [B, T', C, H, W] of a quarter of the frames, plus one."""
    latent_frames = (frames - 1) // 4 + 1
    generator = torch.Generator().manual_seed(2)
    latents = torch.randn(batch, latent_frames, 4, 4, 4, generator=generator)
    context = torch.randn(batch, 3, CONTEXT, generator=generator)
    rotary = get_3d_rotary_pos_embed(16, ((0, 0), (2, 2)), (2, 2), latent_frames, device="cpu")
    return transformer(latents, context, torch.full((batch,), 10.0), image_rotary_emb=rotary).sample


CASES = {
    "animatediff": (animatediff, run_unet, 8, FRAMES),
    "modelscope": (modelscope, run_unet, FRAMES, FRAMES),
    "cogvideox": (cogvideox, run_cogvideox, 9, 25),
}


@pytest.fixture(params=CASES)
def case(request):
    """A randomised base, how to run it, a length within its native one, and N."""
    torch.manual_seed(0)
    make, run, native, extended = CASES[request.param]
    base = make().eval()
    # Published temporal layers end in zeros where they start; here every tensor takes part.
    randomise(base, scale=0.02)
    return base, run, native, extended


@pytest.mark.parametrize("batch", [1, 2])
def test_before_training_it_is_the_base_within_its_native_length(case, batch):
    base, run, native, extended = case
    model = extend(copy.deepcopy(base), extended)
    with torch.no_grad():
        for frames in (1, 5, native):
            found, expected = run(model, frames, batch), run(base, frames, batch)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_it_runs_at_the_extended_length_and_refuses_more(case):
    base, run, _, extended = case
    model = extend(base, extended)
    assert run(model, extended).isfinite().all()
    if any(isinstance(module, PositionTable) for module in model.modules()):
        with pytest.raises(ValueError, match=f"extended to {extended}"):
            run(model, extended + 1)


@pytest.mark.parametrize("policy", ["none", "block", "part"])
def test_a_training_step_reaches_every_trained_tensor_and_no_other(case, policy):
    base, run, _, extended = case
    # Without ModelScope's dropout, so that the second loss compares with the first.
    model = extend(base, extended)
    checkpoint_activations(model, policy)
    frozen = {n: p.clone() for n, p in model.named_parameters() if not p.requires_grad}
    trained = trainable_parameters(model)
    assert trained.keys() == extension_parameters(model).keys()
    # A low-rank update's second factor starts at zero; moved, its first gets a gradient too.
    randomise(torch.nn.ParameterList(trained.values()), scale=0.02)
    optimizer = torch.optim.AdamW(trained.values(), lr=1e-3)
    before = {name: parameter.clone() for name, parameter in trained.items()}
    loss = run(model, extended).square().mean()
    loss.backward()
    optimizer.step()
    assert all(not torch.equal(p, before[name]) for name, p in trained.items())
    assert all(torch.equal(model.get_parameter(name), p) for name, p in frozen.items())
    assert run(model, extended).square().mean() < loss


def test_an_extension_is_saved_and_loaded_over_its_base(case, tmp_path):
    base, run, _, extended = case
    model = extend(copy.deepcopy(base), extended)
    randomise(torch.nn.ParameterList(trainable_parameters(model).values()), scale=0.02)
    metadata = ExtensionMetadata(
        base_id=None,
        num_frames=extended,
        native_frames=model.config["extension"]["native_frames"],
        scaling_factor=1.0,
        sigma={},
        step=1,
        data_digest=None,
    )
    path = tmp_path / "model.safetensors"
    save_extension(model, path, metadata)
    loaded = copy.deepcopy(base)
    assert load_extension(loaded, path) == metadata
    expected = extension_state(model)
    assert all(torch.equal(t, expected[name]) for name, t in extension_state(loaded).items())
    with torch.no_grad():
        torch.testing.assert_close(run(loaded, extended), run(model, extended))


def test_diffsynths_layout_is_stable_video_diffusions_alone(tmp_path):
    metadata = ExtensionMetadata(
        base_id=None,
        num_frames=FRAMES,
        native_frames=16,
        scaling_factor=1.0,
        sigma={},
        step=1,
        data_digest=None,
    )
    with pytest.raises(TypeError, match="DiffSynth's layout"):
        save_extension(extend(modelscope(), FRAMES), tmp_path / "x", metadata, layout="diffsynth")


def test_the_full_form_computes_the_same(case):
    base, run, _, extended = case
    if isinstance(base, CogVideoXTransformer3DModel):
        with pytest.raises(TypeError, match="LoRA alone"):
            to_full_form(extend(base, extended))
        return
    model = extend(base, extended, conv="factorised", lora_rank=2)
    randomise(torch.nn.ParameterList(trainable_parameters(model).values()), scale=0.02)
    with torch.no_grad():
        expected = run(model, extended)
        torch.testing.assert_close(run(to_full_form(model), extended), expected, rtol=0, atol=1e-4)


def test_animatediffs_rows_walk_over_the_bases_own():
    base = animatediff()
    rows = base.mid_block.motion_modules[0].transformer_blocks[0].pos_embed.pe[0].clone()
    extend(base, FRAMES)
    block = base.mid_block.motion_modules[0].transformer_blocks[0]
    walk = native_positions(FRAMES, 8, "ping_pong")
    assert torch.equal(block.positional_embedding.embeddings, rows[walk])


def test_modelscopes_rows_start_at_zero():
    model = extend(modelscope(), FRAMES)
    tables = [module for module in model.modules() if isinstance(module, PositionTable)]
    assert len(tables) == 5
    assert all((table.embeddings == 0).all() for table in tables)


def test_a_temporal_block_equals_its_plain_recomputation():
    """conv(norm(x) + table) before each attention, against convolutions written out tap by tap."""
    model = extend(animatediff(), FRAMES)
    randomise(model, scale=0.03)
    block = model.mid_block.motion_modules[0].transformer_blocks[0]
    batch, frames, height, width = 2, 5, 3, 2
    x = torch.randn(batch * height * width, frames, 64)

    def placed(x, norm, conv):
        y = norm(x) + block.positional_embedding.embeddings[:frames]
        y = y.reshape(batch, height, width, frames, 64).permute(0, 4, 3, 1, 2)
        y = plain_conv(y, conv.weight, conv.bias)
        return y.permute(0, 3, 4, 2, 1).reshape(x.shape)

    with torch.no_grad():
        plain = x + block.attn1(placed(x, block.norm1, block.positional_conv[0]))
        plain = plain + block.attn2(placed(plain, block.norm2, block.positional_conv[1]))
        plain = plain + block.ff(block.norm3(plain))
        found = block(x, (batch, frames, height, width))
    torch.testing.assert_close(found, plain, rtol=0, atol=2e-5)


def test_trained_sets_are_the_temporal_attentions_alone():
    animate = trainable_parameters(extend(animatediff(), FRAMES))
    assert all(".motion_modules." in name for name in animate)
    model = extend(modelscope(), FRAMES)
    assert all(
        ".temp_attentions." in name or name.startswith("transformer_in.")
        for name in trainable_parameters(model)
    )
    convolutions = {name for name, _ in model.named_parameters() if ".temp_convs." in name}
    assert convolutions
    assert not convolutions & set(trainable_parameters(model))
    assert all(".lora_" in name for name in trainable_parameters(extend(cogvideox(), 25)))


def test_they_are_resized():
    model = resize(extend(modelscope().eval(), FRAMES), 20)
    assert run_unet(model, 20).isfinite().all()
    assert resize(extend(cogvideox(), 25), 33).config["sample_frames"] == 33


def test_cogvideox_with_learned_positions_is_refused():
    base = cogvideox(use_learned_positional_embeddings=True)
    with pytest.raises(ValueError, match="learned positions of a fixed length"):
        extend(base, 21)


def image_vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 8),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
    )


def scheduler() -> DDIMScheduler:
    return DDIMScheduler(clip_sample=False)


def embeddings() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    return {
        "prompt_embeds": torch.randn(1, 3, CONTEXT, generator=generator),
        "negative_prompt_embeds": torch.randn(1, 3, CONTEXT, generator=generator),
    }


def test_animatediffs_pipeline_generates_the_extended_length():
    pipeline = AnimateDiffPipeline(
        vae=image_vae(),
        text_encoder=None,
        tokenizer=None,
        unet=extend(animatediff(), FRAMES),
        motion_adapter=None,
        scheduler=scheduler(),
    )
    frames = pipeline(
        num_frames=FRAMES,
        height=16,
        width=16,
        num_inference_steps=2,
        output_type="pt",
        **embeddings(),
    ).frames
    assert frames.shape == (1, FRAMES, 3, 16, 16)
    assert frames.isfinite().all()


def test_modelscopes_pipeline_generates_the_extended_length():
    pipeline = TextToVideoSDPipeline(
        vae=image_vae(),
        text_encoder=None,
        tokenizer=None,
        unet=extend(modelscope(), FRAMES),
        scheduler=scheduler(),
    )
    frames = pipeline(
        num_frames=FRAMES,
        height=16,
        width=16,
        num_inference_steps=2,
        output_type="pt",
        **embeddings(),
    ).frames
    assert frames.shape == (1, FRAMES, 3, 16, 16)
    assert frames.isfinite().all()


def test_cogvideoxs_pipeline_generates_the_extended_length():
    vae = AutoencoderKLCogVideoX(
        block_out_channels=(8, 8, 8, 8),
        norm_num_groups=2,
        layers_per_block=1,
        latent_channels=4,
        temporal_compression_ratio=4,
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
    )
    pipeline = CogVideoXPipeline(
        tokenizer=None,
        text_encoder=None,
        vae=vae,
        transformer=extend(cogvideox(), 25),
        scheduler=scheduler(),
    )
    frames = pipeline(
        height=32, width=32, num_inference_steps=2, output_type="pt", **embeddings()
    ).frames
    assert frames.shape == (1, 25, 3, 32, 32)
    assert frames.isfinite().all()
