"""Long clips on small GPUs: less memory at a time, the same result."""

from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import (
    StableVideoDiffusionPipeline,
)

from exvideo.generation.unet_calls import one_clip_at_a_time, wrap

FRAMES_AT_ONCE = 8


def save_memory(pipeline: StableVideoDiffusionPipeline, num_frames: int) -> None:
    """Prepare `pipeline` for clips of `num_frames` in little memory.

    Guidance runs its two passes one after the other, feed-forwards work on a few frames at a
    time, and on a GPU only the model that is at work stays there.
    """
    wrap(pipeline.unet, one_clip_at_a_time)
    chunk = max(n for n in range(1, FRAMES_AT_ONCE + 1) if num_frames % n == 0)
    pipeline.unet.enable_forward_chunking(chunk, dim=0)
    if pipeline.device.type == "cuda":
        pipeline.enable_model_cpu_offload()
