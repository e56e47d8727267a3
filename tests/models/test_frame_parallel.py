"""A clip's frames on several ranks give what they give on one."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from exvideo.errors import InputError
from exvideo.models.frame_parallel import SharedGroupNorm, share_frames
from tests.models.shared_frames import FRAMES, PROCESSES, extended, main, step


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the results of two and of four processes."""
    folder = tmp_path_factory.mktemp("shared")
    torch.multiprocessing.spawn(main, (folder,), nprocs=PROCESSES)
    return folder


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("conv", ["dense", "factorised"])
def test_prediction_and_gradients_are_those_of_one_rank(
    folder: Path, conv: str, count: int
) -> None:
    expected = step(extended(conv), slice(0, FRAMES))
    found = load_file(folder / f"{conv}-{count}.safetensors")
    assert found.keys() == expected.keys()
    assert sum("positional_embedding" in name for name in found) == 4
    for name, whole in expected.items():
        # One bias comes before a norm over its channels: its gradient is rounding alone.
        tolerance = 1e-5 * float(whole.abs().max()) + 1e-8
        torch.testing.assert_close(found[name], whole, rtol=0, atol=tolerance, msg=name)


class OneOfEqual:
    """As if every other rank had the same frames."""

    index = 0

    def __init__(self, count: int) -> None:
        self.count = count

    def exchange(self, x: torch.Tensor, give: list[int], take: list[int]) -> torch.Tensor:
        raise AssertionError("statistics are summed")

    def total(self, x: torch.Tensor) -> torch.Tensor:
        return self.count * x


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_group_norm_is_torchs(dtype: torch.dtype) -> None:
    x = 3 + torch.randn(2, 8, 3, 4, 4, generator=torch.Generator().manual_seed(0)).to(dtype)
    norm = nn.GroupNorm(4, 8, dtype=dtype)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    repeated = norm(x.repeat(1, 1, 3, 1, 1))[:, :, :3]
    norm.__class__ = SharedGroupNorm
    norm.frame_ranks = OneOfEqual(3)  # type: ignore[assignment]
    torch.testing.assert_close(norm(x), repeated)


def test_another_architecture_is_refused() -> None:
    with pytest.raises(InputError, match="frames of a Linear can't be shared out"):
        share_frames(nn.Linear(2, 2), OneOfEqual(2))
