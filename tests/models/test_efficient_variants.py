"""Factorised and depthwise convolutions, and LoRA: identity at the start, exportable in full."""

import copy

import pytest
import torch

from exvideo.models import (
    ExtensionFileError,
    ExtensionMetadata,
    extend,
    extension_parameters,
    extension_shapes,
    load_extension,
    resize,
    save_extension,
    to_full_form,
    trainable_parameters,
)
from exvideo.models.identity_conv import identity_conv, to_dense
from tests.models.tiny import clip_inputs, full_size_unet, randomise, run, tiny_unet

FRAMES = 12
METADATA = ExtensionMetadata(
    base_id=None,
    num_frames=FRAMES,
    native_frames=8,
    scaling_factor=0.18215,
    sigma={},
    step=1,
    data_digest=None,
)
VARIANTS = [
    {"conv": "factorised"},
    {"conv": "depthwise"},
    {"lora_rank": 4},
    {"conv": "factorised", "lora_rank": 2},
    {"conv": "depthwise", "lora_rank": 4},
]


def trained(variant):
    """A variant whose trained tensors have all moved."""
    unet = extend(tiny_unet(), FRAMES, **variant)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in trainable_parameters(unet).values():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return unet


@pytest.mark.parametrize("kind", ["dense", "factorised", "depthwise"])
@pytest.mark.parametrize("shape", [(4, 5, 6), (1, 3, 3), (1, 1, 1)])
def test_a_convolution_starts_as_the_identity_and_has_a_dense_form(kind, shape):
    conv = identity_conv(6, kind)
    x = torch.randn(2, 6, *shape)
    assert torch.equal(conv(x), x)
    randomise(conv)
    torch.testing.assert_close(to_dense(conv)(x), conv(x), rtol=0, atol=1e-5)


def test_an_unknown_variant_is_refused():
    unet = tiny_unet()
    with pytest.raises(ValueError, match="'sparse'"):
        extend(unet, FRAMES, conv="sparse")
    with pytest.raises(ValueError, match="lora_rank is 0"):
        extend(unet, FRAMES, lora_rank=0)
    # A refused call leaves a base that can still be extended.
    extend(unet, FRAMES)


@pytest.mark.parametrize("variant", VARIANTS)
def test_before_training_it_is_the_base_up_to_the_bases_length(variant):
    inputs = clip_inputs(2, 8)
    with torch.no_grad():
        found = run(extend(tiny_unet(), FRAMES, **variant), *inputs)
        torch.testing.assert_close(found, run(tiny_unet(), *inputs), rtol=0, atol=2e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_trained_tensor_gets_a_gradient_and_no_other_does(variant):
    unet = trained(variant)
    run(unet, *clip_inputs(1, FRAMES)).square().mean().backward()
    with_gradient = {name for name, p in unet.named_parameters() if p.grad is not None}
    assert with_gradient == set(trainable_parameters(unet)) == set(extension_parameters(unet))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_full_form_computes_the_same_and_is_the_originals(variant):
    unet = trained(variant)
    inputs = clip_inputs(2, FRAMES)
    with torch.no_grad():
        expected = run(unet, *inputs)
        full = to_full_form(unet)
        torch.testing.assert_close(run(full, *inputs), expected, rtol=0, atol=1e-5)
    assert list(trainable_parameters(full)) == list(
        trainable_parameters(extend(tiny_unet(), FRAMES))
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_is_saved_small_and_in_full(variant, tmp_path):
    unet = trained(variant)
    small, published = tmp_path / "small.safetensors", tmp_path / "published.safetensors"
    save_extension(unet, small, METADATA)
    with pytest.raises(ValueError, match="to_full_form"):
        save_extension(unet, published, METADATA, layout="diffsynth")
    save_extension(to_full_form(copy.deepcopy(unet)), published, METADATA, layout="diffsynth")
    inputs = clip_inputs(1, FRAMES)
    with torch.no_grad():
        expected = run(unet, *inputs)
        for path in (small, published):
            loaded = tiny_unet()
            load_extension(loaded, path)
            torch.testing.assert_close(run(loaded, *inputs), expected, rtol=0, atol=1e-5)
    assert small.stat().st_size < published.stat().st_size


def test_the_configuration_rebuilds_a_variant(tmp_path):
    unet = trained({"conv": "depthwise", "lora_rank": 4})
    unet.save_pretrained(tmp_path)
    loaded = type(unet).from_pretrained(tmp_path)
    expected = unet.state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    assert all(torch.equal(t, expected[name]) for name, t in loaded.state_dict().items())


def test_another_variants_file_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save_extension(trained({"conv": "depthwise"}), path, METADATA)
    with pytest.raises(ExtensionFileError, match="conv='depthwise', the model has conv='dense'"):
        load_extension(extend(tiny_unet(), FRAMES), path)


def test_a_variant_is_resized_like_the_original():
    unet = resize(trained({"conv": "depthwise", "lora_rank": 4}), 20)
    assert run(unet, *clip_inputs(1, 20)).isfinite().all()


@pytest.mark.parametrize(
    ("variant", "values"),
    [
        ({}, 832_956_800),
        ({"conv": "factorised"}, 535_699_520),
        ({"conv": "depthwise"}, 498_752_960),
        ({"lora_rank": 16}, 337_748_160),
        ({"conv": "depthwise", "lora_rank": 16}, 3_544_320),
    ],
)
def test_sizes_of_what_is_trained_at_full_size(variant, values):
    structure = {"native_frames": 25, **variant}
    shapes = extension_shapes(full_size_unet(), 128, **structure)
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == values
