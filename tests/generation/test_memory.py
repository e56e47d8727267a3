"""What generation needs at full size, counted without memory."""

import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers.models import AutoencoderKLTemporalDecoder
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from exvideo.config.base_folder import SVD_XT
from exvideo.generation.memory import save_memory
from exvideo.models import configure_attention, extend
from tests.models.tiny import full_size_unet

GIB = 2**30


class PeakBytes(TorchDispatchMode):
    """The most bytes of tensors that were alive at a time, each storage once."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self.follow(tensor)
        return result

    def follow(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self.alive:
            self.alive[key] = storage.nbytes()
            weakref.finalize(storage, self.alive.pop, key, None)
            self.peak = max(self.peak, sum(self.alive.values()))


@pytest.fixture(autouse=True)
def fused_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: attention keeps its result alone."""
    monkeypatch.setattr(
        F, "scaled_dot_product_attention", lambda query, key, value, **_: torch.empty_like(query)
    )


def empty(*shape: int, dtype: torch.dtype = torch.float16) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def peak_gib(model: nn.Module, call: Callable[[], Any]) -> float:
    """The model's weights and the most that the call has beside them."""
    with torch.no_grad(), PeakBytes() as counted:
        for parameter in model.parameters():
            counted.follow(parameter)
        call()
    return counted.peak / GIB


def test_the_peak_is_that_of_what_lives_together() -> None:
    with PeakBytes() as counted:
        first = empty(GIB, dtype=torch.uint8)
        second = first + 1
        del first
        (second.view(-1, 2) + 1).add_(1)
    assert counted.peak == 2 * GIB


@pytest.mark.parametrize(("low_memory", "gib"), [(False, 20.4), (True, 8.2)])
def test_a_step_of_128_frames_of_512_pixels(low_memory: bool, gib: float) -> None:
    unet = extend(full_size_unet(), 128)
    nn.Module.to(unet, torch.float16)
    configure_attention(unet)
    if low_memory:
        save_memory(SimpleNamespace(unet=unet, device=torch.device("meta")))  # type: ignore[arg-type]
    both = 2  # guidance's passes
    found = peak_gib(
        unet,
        lambda: unet(
            empty(both, 128, 8, 64, 64),
            empty(dtype=torch.float32),
            encoder_hidden_states=empty(both, 1, 1024),
            added_time_ids=empty(both, 3),
            return_dict=False,
        ),
    )
    assert found == pytest.approx(gib, abs=0.1)


def test_decoding_8_frames_of_512_pixels() -> None:
    with torch.device("meta"):
        config = AutoencoderKLTemporalDecoder.load_config(SVD_XT / "vae")
        vae = AutoencoderKLTemporalDecoder.from_config(config).to("meta")
    latents = empty(8, 4, 64, 64, dtype=torch.float32)
    found = peak_gib(vae, lambda: vae.decode(latents, num_frames=8))
    assert found == pytest.approx(8.4, abs=0.1)
