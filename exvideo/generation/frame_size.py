"""Clip sizes that a model can take: multiples of what its downsampling divides by."""

from math import log

from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import (
    StableVideoDiffusionPipeline,
)

from exvideo.config.base_folder import frame_unit


def size_unit(pipeline: StableVideoDiffusionPipeline) -> int:
    """Pixels that one position at the U-Net's lowest level stands for: 64 for SVD."""
    return frame_unit(pipeline.unet.config, pipeline.vae.config)


def native_area(pipeline: StableVideoDiffusionPipeline) -> int:
    """Pixels of the base's own frames: 768 x 768 for SVD, as many as its 576 x 1024 have."""
    return (pipeline.unet.config.sample_size * pipeline.vae_scale_factor) ** 2


def fitting_size(aspect: float, area: int, unit: int) -> tuple[int, int]:
    """(height, width) in multiples of `unit`, near `area` pixels and width / height = `aspect`.

    >>> fitting_size(16 / 9, 768 * 768, 64)
    (576, 1024)
    """
    ideal = (area / aspect) ** 0.5 / unit
    heights = {max(1, int(ideal)), max(1, int(ideal) + 1)}
    sizes = [(unit * h, unit * max(1, round(h * aspect))) for h in sorted(heights)]

    def misfit(size: tuple[int, int]) -> float:
        height, width = size
        return abs(log(width / height / aspect)) + abs(log(height * width / area))

    return min(sizes, key=misfit)
