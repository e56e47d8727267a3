"""A device with little memory."""

from typing import Any

import torch


class SmallDevice(torch.nn.Module):
    """A VAE whose device has no room for more than `most` frames."""

    def __init__(self, vae: Any, most: int) -> None:
        super().__init__()
        self.vae, self.config, self.dtype, self.most = vae, vae.config, vae.dtype, most
        self.batches: list[int] = []

    def encode(self, pixels: torch.Tensor) -> Any:
        self.batches.append(len(pixels))
        if len(pixels) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.vae.encode(pixels)
