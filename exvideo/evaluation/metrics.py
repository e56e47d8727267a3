"""What a generated clip is measured by. Flow is [T-1, 2, H, W], in pixels a frame."""

import numpy as np
import torch
from torch.nn import functional as F

STILL = 1e-3
"""Mean flow, in pixels a frame, below which jitter's ratio says nothing."""


def flow_speed(flow: np.ndarray) -> np.ndarray:
    """Mean flow magnitude of each pair of frames, [T-1]."""
    return np.linalg.norm(flow, axis=1).mean(axis=(1, 2))


def flow_shake(flow: np.ndarray) -> np.ndarray:
    """Mean magnitude of the flow's second difference, |f(t-1) - 2 f(t) + f(t+1)|, [T-3].

    Zero for constant and for evenly accelerated motion, four times the speed for a motion that
    turns back at every frame.
    """
    second_difference = flow[:-2] - 2 * flow[1:-1] + flow[2:]
    return np.linalg.norm(second_difference, axis=1).mean(axis=(1, 2))


def jitter(flow: np.ndarray) -> float:
    """Mean second difference of the flow over its mean magnitude: 0 is smooth, 4 is shaking.

    NaN for a clip that stands still: nothing moves, so nothing moves smoothly.
    """
    if len(flow) < 3:
        raise ValueError(f"jitter needs at least 4 frames, not {len(flow) + 1}")
    speed = flow_speed(flow).mean()
    return float(flow_shake(flow).mean() / speed) if speed > STILL else float("nan")


def warping_error(frames: np.ndarray, flow: np.ndarray) -> float:
    """Mean |I(t+1)(x + f(x)) - I(t)(x)| over pixels in [0, 1] whose target lies in the frame.

    NaN where the flow leads every pixel out of the frame.
    """
    video = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
    height, width = frames.shape[1:3]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    target = torch.stack([x, y]) + torch.from_numpy(flow)
    last = torch.tensor([width - 1, height - 1])[:, None, None]
    inside = ((target >= 0) & (target <= last)).all(dim=1)
    grid = (2 * target / last - 1).permute(0, 2, 3, 1)
    warped = F.grid_sample(video[1:], grid, mode="bilinear", align_corners=True)
    error = (warped - video[:-1]).abs().mean(dim=1)
    return float(error[inside].mean())


def psnr(frame: np.ndarray, reference: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two uint8 images in dB; infinite where they are equal."""
    error = np.square(frame.astype(np.float64) - reference.astype(np.float64)).mean()
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def frame_contrast(frames: np.ndarray) -> np.ndarray:
    """Standard deviation of each frame's pixels in [0, 1], [T]: a collapsing clip falls to 0."""
    return (frames / np.float32(255)).std(axis=(1, 2, 3))
