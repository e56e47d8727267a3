"""From latents back to frames."""

from typing import Any

import numpy as np
import torch
from torch import Tensor


@torch.inference_mode()
def decoded(vae: Any, latents: Tensor, together: int) -> np.ndarray:
    """Unscaled latents [T, 4, h, w] to uint8 frames [T, H, W, 3], on the VAE's device.

    So many frames pass through the decoder at a time; its temporal layers see these, and no others.
    """
    pieces = latents.to(vae.device, vae.dtype).split(together)
    pixels = torch.cat([vae.decode(it, num_frames=len(it)).sample for it in pieces])
    scaled = (pixels.float().clamp(-1, 1) + 1) * 127.5
    return scaled.round().byte().permute(0, 2, 3, 1).cpu().numpy()
