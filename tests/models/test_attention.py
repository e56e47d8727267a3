import copy
import importlib.util

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from exvideo.models import configure_attention, extend, extension_state, trainable_parameters
from tests.models.tiny import clip_inputs, full_size_unet, randomise, run, tiny_unet

UNUSED = ("norm2.weight", "norm2.bias", "attn2.to_q.weight", "attn2.to_k.weight")


@pytest.fixture
def unet():
    unet = extend(tiny_unet(), 12)
    randomise(unet, scale=0.03)
    return unet


def gradients(unet, *inputs):
    run(unet, *inputs).square().mean().backward()
    return {name: p.grad for name, p in trainable_parameters(unet).items()}


@pytest.mark.parametrize(("batch", "frames"), [(1, 12), (2, 5), (1, 1)])
def test_the_shortcut_is_exact_in_outputs_and_gradients(unet, batch, frames):
    inputs = clip_inputs(batch, frames)
    plain = copy.deepcopy(unet)
    configure_attention(plain, one_token_shortcut=False)
    configure_attention(unet, one_token_shortcut=True)
    torch.testing.assert_close(run(unet, *inputs), run(plain, *inputs), rtol=0, atol=1e-5)
    expected = gradients(plain, *inputs)
    # A single frame attends to itself alone, so that its query and key get rounding noise.
    noise = 1e-7 * max(gradient.norm() for gradient in expected.values())
    for name, gradient in gradients(unet, *inputs).items():
        assert (gradient - expected[name]).norm() <= 1e-4 * expected[name].norm() + noise, name


def test_the_shortcut_runs_no_query_key_or_norm_in_spatial_and_temporal_blocks(unet):
    configure_attention(unet)
    ran = []
    for name, module in unet.named_modules():
        if name.endswith(("attn2.to_q", "attn2.to_k")):
            module.register_forward_hook(lambda *_, name=name: ran.append(name))
        elif name.endswith("norm2") and isinstance(module, torch.nn.LayerNorm):
            module.register_forward_hook(
                lambda module, args, output, name=name: (
                    None if output is args[0] else ran.append(name)
                )
            )
    run(unet, *clip_inputs(1, 3))
    assert ran == []


def test_tensors_without_use_are_not_trained_but_stay_in_the_extension(unet):
    before = set(trainable_parameters(unet))
    configure_attention(unet)
    frozen = before - set(trainable_parameters(unet))
    assert frozen == {name for name in before if name.endswith(UNUSED)}
    assert frozen < set(extension_state(unet))


def test_at_full_size_25_194_880_values_have_no_use():
    unet = extend(full_size_unet(), 128)
    configure_attention(unet)
    trained = sum(parameter.numel() for parameter in trainable_parameters(unet).values())
    assert 832_956_800 - trained == 25_194_880


def test_the_shortcut_refuses_a_context_of_two_tokens(unet):
    configure_attention(unet)
    latents, timestep, context, ids = clip_inputs(1, 3)
    with pytest.raises(ValueError, match=r"context of shape \[B, 1, D\], got \(3, 2, 32\)"):
        run(unet, latents, timestep, context.repeat(1, 2, 1), ids)


def test_without_the_shortcut_two_tokens_differ_from_one(unet):
    configure_attention(unet)
    configure_attention(unet, one_token_shortcut=False)
    latents, timestep, context, ids = clip_inputs(1, 3)
    two = torch.cat([context, -context], dim=1)
    with torch.no_grad():
        one_token = run(unet, latents, timestep, context, ids)
        assert not torch.allclose(run(unet, latents, timestep, two, ids), one_token, atol=1e-3)


def test_sdpa_is_free_to_take_its_flash_kernel(unet):
    """No mask and no layout that would rule it out: with every other kernel forbidden it runs."""
    configure_attention(unet)
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        assert all(it.isfinite().all() for it in gradients(unet, *clip_inputs(1, 12)).values())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_sdpa_is_free_to_take_its_flash_kernel_on_a_gpu(unet):
    unet = unet.to("cuda", torch.bfloat16)
    configure_attention(unet)
    inputs = [x.to("cuda", torch.bfloat16) for x in clip_inputs(1, 12)]
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        assert all(it.isfinite().all() for it in gradients(unet, *inputs).values())


def test_an_unknown_kernel_is_refused(unet):
    with pytest.raises(ValueError, match="'xformers'"):
        configure_attention(unet, "xformers")


@pytest.mark.skipif(
    importlib.util.find_spec("flash_attn") is not None, reason="flash-attn is installed"
)
def test_flash_attn_says_what_it_needs(unet):
    with pytest.raises(ImportError, match="needs the flash-attn package"):
        configure_attention(unet, "flash_attn")


@pytest.mark.skipif(
    importlib.util.find_spec("flash_attn") is None or not torch.cuda.is_available(),
    reason="needs flash-attn and a GPU",
)
def test_flash_attn_agrees_with_sdpa(unet):
    unet = unet.to("cuda", torch.bfloat16)
    inputs = [x.to("cuda", torch.bfloat16) for x in clip_inputs(2, 12)]
    with torch.no_grad():
        expected = run(unet, *inputs)
        configure_attention(unet, "flash_attn", one_token_shortcut=False)
        torch.testing.assert_close(run(unet, *inputs), expected, rtol=0, atol=2e-2)


def test_the_flash_processor_computes_attention(unet, monkeypatch):
    """Its own arithmetic, over a stand-in for the package's one function."""

    def flash_attn_func(q, k, v, *, deterministic):
        assert deterministic
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        scores = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        return (scores @ v).transpose(1, 2)

    inputs = clip_inputs(2, 12)
    with torch.no_grad():
        expected = run(unet, *inputs)
        package = type("flash_attn", (), {"flash_attn_func": staticmethod(flash_attn_func)})
        monkeypatch.setitem(__import__("sys").modules, "flash_attn", package)
        configure_attention(unet, "flash_attn", one_token_shortcut=False)
        torch.testing.assert_close(run(unet, *inputs), expected, rtol=0, atol=1e-5)
