"""Other ways to call the U-Net: the same numbers, in less precision or less memory."""

import pytest
import torch

from exvideo.generation.unet_calls import in_bfloat16, one_clip_at_a_time, wrap, wrapped
from exvideo.models import extend
from tests.models.tiny import clip_inputs, randomise, tiny_unet


@pytest.fixture
def unet() -> torch.nn.Module:
    unet = extend(tiny_unet(), 12)
    randomise(unet, scale=0.02)
    return unet.eval()


@torch.no_grad()
def test_clips_one_after_the_other_equal_the_batch(unet: torch.nn.Module) -> None:
    inputs = clip_inputs(batch=2, frames=5)
    sample, _, context, ids = inputs
    timestep = torch.tensor(0.7)
    expected = unet(sample, timestep, context, ids, return_dict=False)[0]
    with wrapped(unet, one_clip_at_a_time):
        split = unet(
            sample, timestep, encoder_hidden_states=context, added_time_ids=ids, return_dict=False
        )[0]
    torch.testing.assert_close(split, expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_bfloat16_computes_in_half_and_answers_in_single_precision(
    unet: torch.nn.Module,
) -> None:
    inputs = clip_inputs(batch=1, frames=5)
    expected = unet(*inputs, return_dict=False)[0]
    wrap(unet, in_bfloat16)
    rounded = unet(*inputs, return_dict=False)[0]
    assert rounded.dtype == torch.float32
    error = (rounded - expected).norm() / expected.norm()
    assert 1e-5 < error < 3e-2


def test_a_wrapped_unet_is_itself_again_after_the_block(unet: torch.nn.Module) -> None:
    own = unet.forward
    with wrapped(unet, lambda forward: lambda *_, **__: ("outer",)):
        with wrapped(unet, lambda forward: lambda *_, **__: ("inner", *forward())):
            assert unet() == ("inner", "outer")
        assert unet() == ("outer",)
    assert unet.forward == own
    assert "forward" not in vars(unet)
