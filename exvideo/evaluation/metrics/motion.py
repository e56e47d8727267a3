"""How much moves, and how smoothly, pixel by pixel."""

import numpy as np

from exvideo.evaluation.metrics.along_flow import follow

STILL = 0.1
"""Mean flow, in pixels a frame, below which a clip stands still: ratios to its speed say nothing.

RAFT's own error is nearly as large, and constant for a clip whose frames are all the same: its
jitter would be 0.
"""

VBENCH_FPS = 8


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


def flow_coherence(flow: np.ndarray, visible: np.ndarray) -> float:
    """How far a pixel goes on as it came: 1 for steady motion, -1 for turning back at every frame.

    The cosine between a pixel's flow and the next flow at the place that it leads to, weighted by
    both lengths, since the direction of what rests is noise: sum of f g over sum of |f| |g|. Over
    pixels seen in both pairs; NaN for a clip of two frames and for one that stands still.
    """
    here, there = flow[:-1], flow[1:]
    ahead, inside = follow(there, here)
    seen_on, _ = follow(visible[1:, None].astype(np.float32), here)
    counted = visible[:-1] & inside & (seen_on[:, 0] > 0.5)
    lengths = (np.linalg.norm(here, axis=1) * np.linalg.norm(ahead, axis=1))[counted]
    products = (here * ahead).sum(axis=1)[counted]
    if not len(lengths) or lengths.mean() < STILL**2:
        return float("nan")
    return float(products.sum(dtype=np.float64) / lengths.sum(dtype=np.float64))


def vbench_interval(fps: float) -> int:
    """Every how manieth frame VBench's dynamic degree looks at: about 8 frames a second."""
    return max(1, round(fps / VBENCH_FPS))


def dynamic_degree(flow: np.ndarray) -> float:
    """VBench's verdict on a clip: 1 if it moves enough, 0 if not; the mean over clips is its score.

    As in VBench 0.1.5 (Huang et al., 2024; `dynamic_degree.py`): a pair of frames moves if its
    fastest 5 % of pixels do by more than 6 pixels on average, at 256 pixels a side; a clip if 4 of
    16 frames do. VBench's flow is RAFT's large network with 20 iterations.

    Args:
        flow: [n-1, 2, H, W] between n frames sampled at `vbench_interval`, not between all frames.

    NaN below 3 sampled frames, where VBench's rule asks for no motion at all.
    """
    frames = len(flow) + 1
    height, width = flow.shape[2:]
    fastest = int(0.05 * height * width)
    needed = round(4 * frames / 16)
    if not needed or not fastest:
        return float("nan")
    lengths = np.linalg.norm(flow, axis=1).reshape(len(flow), -1)
    speeds = np.partition(lengths, -fastest, axis=1)[:, -fastest:].mean(axis=1)
    return float((speeds > 6.0 * min(height, width) / 256).sum() >= needed)
