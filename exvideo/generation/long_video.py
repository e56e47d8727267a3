"""Long clips from a base without training, to compare an extension with.

Each makes `num_frames` frames, uint8 [T, H, W, 3], out of a base of `native_frames`. The simplest
baseline needs nothing of this: `image_to_video` runs a base straight at any length.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch
from diffusers.models.transformers.transformer_temporal import TransformerSpatioTemporalModel
from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import (
    StableVideoDiffusionPipeline,
)
from PIL import Image
from torch import nn
from torch.nn import functional as F

from exvideo.generation.image_to_video import OnStep, Sampling, image_to_video
from exvideo.generation.unet_calls import UNetCall, wrapped


def direct(
    pipeline: StableVideoDiffusionPipeline,
    image: Image.Image | np.ndarray,
    num_frames: int,
    **options: Any,
) -> np.ndarray:
    """The base at a length that it was not trained for; positions go on beyond the native ones."""
    return image_to_video(pipeline, image, num_frames=num_frames, **options)


def squeezed(
    pipeline: StableVideoDiffusionPipeline,
    image: Image.Image | np.ndarray,
    num_frames: int,
    **options: Any,
) -> np.ndarray:
    """As `direct`, with all positions squeezed into the native range."""
    with squeezed_positions(pipeline.unet, min(1.0, pipeline.unet.config.num_frames / num_frames)):
        return image_to_video(pipeline, image, num_frames=num_frames, **options)


def sliding_window(
    pipeline: StableVideoDiffusionPipeline,
    image: Image.Image | np.ndarray,
    num_frames: int,
    overlap: float = 0.5,
    **options: Any,
) -> np.ndarray:
    """All windows of native length are denoised together, averaged where they overlap.

    MultiDiffusion (Bar-Tal et al., 2023) along time; `overlap` is a share of the window.
    """
    native = pipeline.unet.config.num_frames
    stride = max(1, round(native * (1 - overlap)))
    with wrapped(pipeline.unet, lambda forward: in_windows(forward, native, stride)):
        return image_to_video(pipeline, image, num_frames=num_frames, **options)


def autoregressive(
    pipeline: StableVideoDiffusionPipeline,
    image: Image.Image | np.ndarray,
    num_frames: int,
    sampling: Sampling | None = None,
    on_step: OnStep | None = None,
    **options: Any,
) -> np.ndarray:
    """Clips of native length, each started from the last frame of the one before."""
    native = pipeline.unet.config.num_frames
    if native < 2:
        raise ValueError("a base of one frame cannot go on from its last frame")
    sampling = sampling or Sampling()
    parts: list[np.ndarray] = []
    total = 1 + max(0, -(-(num_frames - native) // (native - 1)))
    for part in range(total):
        seed = sampling.seed + part
        report = _shifted(on_step, part * sampling.steps, total * sampling.steps)
        clip = image_to_video(
            pipeline,
            image,
            num_frames=native,
            sampling=replace(sampling, seed=seed),
            on_step=report,
            **options,
        )
        # A part's first frame repeats the frame that it was started from.
        parts.append(clip if part == 0 else clip[1:])
        image = clip[-1]
    return np.concatenate(parts)[:num_frames]


def interpolated(
    pipeline: StableVideoDiffusionPipeline,
    image: Image.Image | np.ndarray,
    num_frames: int,
    **options: Any,
) -> np.ndarray:
    """A clip of native length, drawn out by interpolating along its optical flow."""
    clip = image_to_video(pipeline, image, num_frames=pipeline.unet.config.num_frames, **options)
    return interpolate(clip, num_frames)


BASELINES = {
    "direct": direct,
    "squeezed": squeezed,
    "sliding_window": sliding_window,
    "autoregressive": autoregressive,
    "interpolated": interpolated,
}


@contextmanager
def squeezed_positions(unet: nn.Module, factor: float) -> Iterator[None]:
    """Within the block, frame t stands at position `factor` * t."""
    hooks = [
        module.time_proj.register_forward_pre_hook(lambda _, inputs: (inputs[0] * factor,))
        for module in unet.modules()
        if isinstance(module, TransformerSpatioTemporalModel)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def in_windows(forward: UNetCall, length: int, stride: int) -> UNetCall:
    """Run the U-Net window by window, and average where windows overlap.

    A window weighs most in its middle, so that no frame shows where a window ends.
    """

    def call(sample: torch.Tensor, *inputs: Any, **options: Any) -> tuple[torch.Tensor]:
        total = sample.shape[1]
        plain = {**options, "return_dict": False}
        if total <= length:
            return forward(sample, *inputs, **plain)
        middle = torch.arange(1, length + 1, device=sample.device, dtype=torch.float32)
        weight = torch.minimum(middle, length + 1 - middle)[:, None, None, None]
        summed = torch.zeros(()).to(weight)
        weights = weight.new_zeros(total, 1, 1, 1)
        for start in [*range(0, total - length, stride), total - length]:
            # Zeros around a window: its place among all frames.
            around = (0, 0, 0, 0, 0, 0, start, total - length - start)
            part = forward(sample[:, start : start + length], *inputs, **plain)[0]
            summed = summed + F.pad(weight * part, around)
            weights[start : start + length] += weight
        return ((summed / weights).to(sample.dtype),)

    return call


def interpolate(frames: np.ndarray, num_frames: int) -> np.ndarray:
    """uint8 frames [T, H, W, 3] spread evenly over `num_frames`, by DIS optical flow.

    A frame between two is both of them, warped to its time and blended by their nearness.
    """
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    times = np.linspace(0, len(frames) - 1, num_frames)
    flows: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    result = []
    for time in times:
        before = min(int(time), len(frames) - 2)
        share = time - before
        if before not in flows:
            pair = grey[before], grey[before + 1]
            flows[before] = (
                estimator.calc(*pair, None),  # type: ignore[call-overload]
                estimator.calc(*pair[::-1], None),  # type: ignore[call-overload]
            )
        onward, back = flows[before]
        first = _pulled(frames[before], -share * onward)
        second = _pulled(frames[before + 1], -(1 - share) * back)
        result.append(cv2.addWeighted(first, 1 - share, second, share, 0))
    return np.stack(result)


def _pulled(frame: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """The frame read at x + offset(x)."""
    height, width = frame.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    where = (x + offset[..., 0].astype(np.float32), y + offset[..., 1].astype(np.float32))
    return cv2.remap(frame, *where, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _shifted(on_step: OnStep | None, before: int, total: int) -> OnStep | None:
    return None if on_step is None else lambda done, _: on_step(before + done, total)
