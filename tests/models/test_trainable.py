import pytest

from exvideo.models import (
    extend,
    extension_parameters,
    extension_state,
    freeze_base,
    trainable_parameters,
)
from exvideo.models.trainable import Part
from tests.models.tiny import clip_inputs, full_size_unet, run, tiny_unet

TENSORS_PER_TRANSFORMER = 33


def test_at_full_size_528_tensors_and_832_956_800_values_are_trained():
    unet = extend(full_size_unet(), 128)
    trained = trainable_parameters(unet)
    assert len(trained) == 16 * TENSORS_PER_TRANSFORMER == 528
    assert sum(parameter.numel() for parameter in trained.values()) == 832_956_800
    assert trained.keys() == extension_parameters(unet).keys()


def test_temporal_residual_blocks_mixing_factors_and_projections_stay_frozen():
    unet = extend(tiny_unet(), 20)
    frozen = {name for name, p in unet.named_parameters() if not p.requires_grad}
    for part in ("temporal_res_block", "time_mixer", "proj_out", "proj_in", "spatial_res_block"):
        names = {name for name in dict(unet.named_parameters()) if part in name.split(".")}
        assert names
        assert names <= frozen


def test_every_trained_tensor_gets_a_gradient_and_no_other_does():
    unet = extend(tiny_unet(), 20)
    run(unet, *clip_inputs(1, 20)).square().mean().backward()
    with_gradient = {name for name, p in unet.named_parameters() if p.grad is not None}
    assert with_gradient == set(trainable_parameters(unet))


def test_freezing_again_restores_the_rule():
    unet = extend(tiny_unet(), 20)
    rule = set(trainable_parameters(unet))
    unet.requires_grad_(True)
    freeze_base(unet)
    assert set(trainable_parameters(unet)) == rule


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ("table", {"positional_embedding"}),
        ("convolution", {"positional_conv"}),
        ("temporal_blocks", {"time_pos_embed", "temporal_transformer_blocks"}),
    ],
)
def test_a_part_alone_is_trained(part: Part, names: set[str]):
    unet = extend(tiny_unet(), 20)
    rule = set(trainable_parameters(unet))
    freeze_base(unet, [part])
    expected = {name for name in rule if names & set(name.split("."))}
    assert set(trainable_parameters(unet)) == expected != set()


def test_an_extension_without_the_part_is_refused():
    unet = extend(tiny_unet(), 20)
    with pytest.raises(ValueError, match="ExtendedUNet's extension has no"):
        freeze_base(unet, [])


def test_the_state_is_the_models_own_memory():
    unet = extend(tiny_unet(), 20)
    for name, parameter in extension_parameters(unet).items():
        tensor = extension_state(unet)[name]
        assert not tensor.requires_grad
        assert tensor.data_ptr() == parameter.data_ptr()


def test_a_base_has_no_extension():
    with pytest.raises(ValueError, match="not extended"):
        extension_parameters(tiny_unet())
