import copy

import pytest
import torch

from exvideo.models import extend, resize
from exvideo.models.positions import native_positions
from exvideo.models.svd import ExtendedTransformer, ExtendedUNet, transformers
from tests.models import plain_svd
from tests.models.tiny import CONTEXT, clip_inputs, full_size_unet, randomise, run, tiny_unet

NATIVE, EXTENDED = 8, 20


@pytest.fixture
def base():
    return tiny_unet(NATIVE)


@pytest.fixture
def trained():
    """An extended U-Net whose every tensor has moved."""
    unet = extend(tiny_unet(NATIVE), EXTENDED)
    randomise(unet, scale=0.03)
    return unet


def test_extending_returns_the_same_object_which_still_is_the_bases_class(base):
    cls = type(base)
    extended = extend(base, EXTENDED)
    assert extended is base
    assert isinstance(extended, cls)
    assert extended.config.num_frames == EXTENDED
    assert extended.config.extension["native_frames"] == NATIVE


@pytest.mark.parametrize(("batch", "frames"), [(1, 1), (1, 5), (1, NATIVE), (3, 1), (2, 5)])
@pytest.mark.parametrize(
    ("dtype", "rounding"),
    [(torch.float32, 2e-6), (torch.bfloat16, 2e-2), (torch.float16, 4e-3)],
)
def test_before_training_it_is_the_base_up_to_the_bases_length(
    base, batch, frames, dtype, rounding
):
    torch.nn.Module.to(base, dtype)
    extended = extend(copy.deepcopy(base), EXTENDED)
    inputs = clip_inputs(batch, frames, dtype=dtype)
    with torch.no_grad():
        torch.testing.assert_close(
            run(extended, *inputs), run(base, *inputs), rtol=0, atol=rounding
        )


@pytest.mark.parametrize("table_init", ["ping_pong", "wrap"])
def test_beyond_that_length_it_is_the_base_at_the_walks_positions(base, table_init):
    extended = extend(copy.deepcopy(base), EXTENDED, table_init=table_init)
    walk = native_positions(EXTENDED, NATIVE, table_init)
    for transformer in transformers(base).values():
        sinusoid = transformer.time_proj.forward
        transformer.time_proj.forward = lambda frames, sinusoid=sinusoid: sinusoid(walk[frames])
    inputs = clip_inputs(1, EXTENDED)
    with torch.no_grad():
        torch.testing.assert_close(run(extended, *inputs), run(base, *inputs))


def test_the_walk_itself_changes_what_the_base_makes_beyond_its_length(base):
    """The paper's "no change before training" holds up to the native length only."""
    inputs = clip_inputs(1, EXTENDED)
    with torch.no_grad():
        unextended = run(base, *inputs)
        assert not torch.allclose(run(extend(base, EXTENDED), *inputs), unextended, atol=1e-4)


@pytest.mark.parametrize("frames", [1, 2, NATIVE, EXTENDED])
@pytest.mark.parametrize("size", [(1, 3), (2, 2), (3, 2)])
def test_a_transformer_equals_its_plain_recomputation(trained, frames, size):
    """Outputs within 1e-5 of outputs of size 1, gradients within 1e-4 relative.

    A gradient that is smaller than others by cancellation has their rounding.
    """
    transformer = transformers(trained)["mid_block.attentions.0"]
    hidden = torch.randn(2 * frames, 64, *size)
    context = torch.randn(2, CONTEXT)
    tensors = {
        name: parameter.detach().double().requires_grad_()
        for name, parameter in transformer.named_parameters()
    }
    plain = torch.cat(
        [
            plain_svd.transformer(tensors, clip.double(), clip_context.double(), heads=4)
            for clip, clip_context in zip(hidden.chunk(2), context, strict=True)
        ]
    )
    (output,) = transformer.requires_grad_(True)(
        hidden,
        encoder_hidden_states=context.repeat_interleave(frames, dim=0)[:, None],
        image_only_indicator=torch.zeros(2, frames),
        return_dict=False,
    )
    assert 0.5 < plain.std() < 2
    assert (output - plain).abs().max() < 1e-5

    direction = torch.randn(plain.shape)
    (output * direction).sum().backward()
    (plain * direction.double()).sum().backward()
    largest = max(tensor.grad.abs().max() for tensor in tensors.values())
    for name, parameter in transformer.named_parameters():
        expected = tensors[name].grad
        # Over one token, query, key and their norm get rounding noise alone.
        scale = max(expected.norm(), largest if expected.norm() > 1e-6 * largest else 1e2 * largest)
        assert (parameter.grad - expected).norm() < 1e-4 * scale, name


def test_clips_of_a_batch_do_not_see_each_other(trained):
    inputs = clip_inputs(3, EXTENDED)
    with torch.no_grad():
        together = run(trained, *inputs)
        alone = torch.cat([run(trained, *(x[i : i + 1] for x in inputs)) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_a_shorter_clip_takes_the_tables_first_rows(trained):
    inputs = clip_inputs(1, 5)
    with torch.no_grad():
        short = run(trained, *inputs)
        assert torch.equal(run(resize(trained, 5), *inputs), short)


@pytest.mark.parametrize("size", [2, 4, 6])
def test_small_maps_run(trained, size):
    output = run(trained, *clip_inputs(1, 3, size))
    assert output.shape == (1, 3, 4, size, size)
    assert output.isfinite().all()


def test_a_clip_beyond_n_is_refused_by_its_numbers(trained):
    with pytest.raises(ValueError, match=r"21 frames.*extended to 20"):
        run(trained, *clip_inputs(1, EXTENDED + 1))


def test_it_trains_under_bfloat16_autocast(base):
    extended = extend(base, EXTENDED)
    with torch.autocast("cpu", torch.bfloat16):
        loss = run(extended, *clip_inputs(1, EXTENDED)).float().square().mean()
    loss.backward()
    for parameter in extended.parameters():
        if parameter.requires_grad:
            assert parameter.grad.dtype == torch.float32
            assert parameter.grad.isfinite().all()


def test_extending_twice_is_refused(base):
    with pytest.raises(ValueError, match="already extended to 20 frames: use resize"):
        extend(extend(base, EXTENDED), 30)


def test_only_video_models_are_extended():
    with pytest.raises(TypeError, match="no extension for Linear"):
        extend(torch.nn.Linear(2, 2), 20)


def test_full_size_has_the_papers_sizes():
    """1,860,773,802 parameters, of which 336,150,720 are new, in 16 transformers."""
    unet = full_size_unet()
    base_size = sum(parameter.numel() for parameter in unet.parameters())
    assert base_size == 1_524_623_082
    assert len(unet.state_dict()) == 1428
    extend(unet, 128)
    size = sum(parameter.numel() for parameter in unet.parameters())
    assert size == 1_860_773_802
    assert size - base_size == 336_150_720
    channels = [transformer.in_channels for transformer in transformers(unet).values()]
    assert channels == [320, 320, 640, 640] + [1280] * 6 + [640] * 3 + [320] * 3
    assert all(isinstance(t, ExtendedTransformer) for t in transformers(unet).values())


def test_a_bases_configuration_does_not_make_an_extended_model(base, tmp_path):
    base.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="configuration is a base's"):
        ExtendedUNet.from_pretrained(tmp_path)


def test_the_configuration_rebuilds_the_extended_model(trained, tmp_path):
    trained.save_pretrained(tmp_path)
    loaded = type(trained).from_pretrained(tmp_path)
    assert type(loaded) is type(trained)
    assert dict(loaded.config)["extension"] == dict(trained.config)["extension"]
    inputs = clip_inputs(1, EXTENDED)
    with torch.no_grad():
        torch.testing.assert_close(run(loaded, *inputs), run(trained, *inputs))
