import itertools

import pytest
import torch

from exvideo.models.identity_conv import IdentityConv3d
from tests.models.tiny import randomise


def mirrored(index: int, size: int) -> int:
    """The index that reflection puts beside an axis, the only one where the axis has length 1."""
    if size == 1:
        return 0
    return {-1: 1, size: size - 2}.get(index, index)


def plain_conv(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Sum over 27 taps with mirrored indices; x is [B, C, T, H, W]."""
    y = bias[None, :, None, None, None].expand(x.shape).clone()
    for taps in itertools.product(range(3), repeat=3):
        shifted = x
        for axis, tap in zip((2, 3, 4), taps, strict=True):
            size = x.shape[axis]
            index = torch.tensor([mirrored(i + tap - 1, size) for i in range(size)])
            shifted = shifted.index_select(axis, index)
        y += torch.einsum("oi,bithw->bothw", weight[(..., *taps)], shifted)
    return y


@pytest.mark.parametrize("shape", [(4, 5, 6), (1, 3, 3), (3, 1, 4), (2, 2, 2), (1, 1, 1)])
def test_it_starts_as_the_identity(shape):
    x = torch.randn(2, 6, *shape)
    assert torch.equal(IdentityConv3d(6)(x), x)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_it_is_the_identity_in_half_precision(dtype):
    x = torch.randn(1, 6, 3, 4, 4).to(dtype)
    assert torch.equal(IdentityConv3d(6, dtype=dtype)(x), x)


@pytest.mark.parametrize("shape", [(4, 5, 6), (1, 3, 3), (3, 1, 4), (2, 2, 2), (1, 1, 1)])
def test_it_reflects_at_the_edges_and_replicates_where_there_is_no_room(shape):
    conv = IdentityConv3d(6)
    randomise(conv)
    x = torch.randn(2, 6, *shape)
    torch.testing.assert_close(conv(x), plain_conv(x, conv.weight, conv.bias), rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(4, 5, 6), (1, 3, 3), (3, 1, 4), (2, 2, 2), (1, 1, 1)])
def test_its_gradients_are_those_of_the_plain_sum(shape):
    conv = IdentityConv3d(4, dtype=torch.float64)
    randomise(conv)
    x = torch.randn(2, 4, *shape, dtype=torch.float64, requires_grad=True)
    direction = torch.randn_like(x)
    inputs = (x, conv.weight, conv.bias)
    found = torch.autograd.grad((conv(x) * direction).sum(), inputs)
    expected = torch.autograd.grad((plain_conv(*inputs) * direction).sum(), inputs)
    torch.testing.assert_close(found, expected)
