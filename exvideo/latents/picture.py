"""What was cached, as a picture: a row's decoded latents below the frames that they come from."""

import io
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from exvideo.clips.windows import spread
from exvideo.latents.decode import decoded
from exvideo.latents.schema import LatentRow

COLUMNS = 8
CELL = 160
"""A frame's longer side, px."""


def beside_source(vae: Any, row: LatentRow, source: np.ndarray) -> tuple[bytes, float]:
    """A PNG, the source's frames above the decoded ones, and the PSNR between them in dB.

    `source` is the clip that the row was made of, uint8 [T,H,W,3].
    """
    frames = sorted(spread(len(source), COLUMNS))
    # The decoder's temporal layers see what stands beside each other here, as in training they
    # never do: to judge colours and places, each frame goes alone.
    above = source[frames]
    below = decoded(vae, torch.from_numpy(row.latents[frames]), together=1)
    error = np.mean((above.astype(np.float64) - below) ** 2)
    psnr = float(10 * np.log10(255**2 / error)) if error else float("inf")
    sheet = np.concatenate([_strip(above), _strip(below)])
    png = io.BytesIO()
    Image.fromarray(sheet).save(png, "PNG")
    return png.getvalue(), psnr


def _strip(frames: np.ndarray) -> np.ndarray:
    _, height, width, _ = frames.shape
    scale = CELL / max(height, width)
    size = (round(width * scale), round(height * scale))
    return np.concatenate([cv2.resize(it, size, interpolation=cv2.INTER_AREA) for it in frames], 1)
