"""Looking up what another frame holds where the flow leads."""

import numpy as np
import torch
from torch.nn import functional as F


def follow(maps: np.ndarray, flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `maps` hold where the flow leads, float32 [N, C, H, W], and if that is inside the frame.

    Args:
        maps: [N, C, H, W] of the frames that the flow leads to; read bilinearly.
        flow: [N, 2, H, W] in pixels.

    Beyond the frame's border the maps' rim goes on; `inside` is bool [N, H, W].
    """
    height, width = flow.shape[2:]
    # torch's, since OpenCV's remap rounds to a 32nd of a pixel.
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = torch.stack([x, y], dim=-1).float()
    last = torch.tensor([max(width - 1, 1), max(height - 1, 1)])
    found = np.empty((len(flow), maps.shape[1], height, width), np.float32)
    inside = np.empty((len(flow), height, width), bool)
    for n in range(len(flow)):
        place = pixels + torch.from_numpy(flow[n]).float().permute(1, 2, 0)
        inside[n] = ((place >= 0) & (place <= last)).all(dim=-1).numpy()
        found[n] = F.grid_sample(
            torch.from_numpy(maps[n])[None].float(),
            (2 * place / last - 1)[None],
            mode="bilinear",
            padding_mode="border",
            align_corners=True,
        )[0].numpy()
    return found, inside
