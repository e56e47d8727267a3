"""Long clips on small GPUs: less memory at a time, the same result."""

from typing import Any

import torch
from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import (
    StableVideoDiffusionPipeline,
)

from exvideo.generation.unet_calls import UNetCall, one_clip_at_a_time, wrap

FRAMES_AT_ONCE = 8


def save_memory(pipeline: StableVideoDiffusionPipeline) -> None:
    """Prepare `pipeline` for long clips in little memory; what it makes stays the same.

    Guidance runs its two passes one after the other, feed-forwards work on a few frames at a
    time, and on a GPU only the model that is at work stays there.
    """
    unet = pipeline.unet

    def a_few_frames_at_a_time(forward: UNetCall) -> UNetCall:
        def call(sample: torch.Tensor, *inputs: Any, **options: Any) -> tuple[torch.Tensor]:
            # diffusers asks for parts of equal size.
            parts = [n for n in range(1, FRAMES_AT_ONCE + 1) if sample.shape[1] % n == 0]
            unet.enable_forward_chunking(max(parts))
            return forward(sample, *inputs, **options)

        return call

    wrap(unet, a_few_frames_at_a_time)
    wrap(unet, one_clip_at_a_time)
    if pipeline.device.type == "cuda":
        pipeline.enable_model_cpu_offload()
