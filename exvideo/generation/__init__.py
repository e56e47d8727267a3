"""Generation: from a picture, or a text, to a clip."""

from exvideo.generation.image_to_video import GenerationError, Sampling, image_to_video
from exvideo.generation.load import (
    best_device,
    default_dtype,
    extended_pipeline,
    load_base,
    load_model,
)
from exvideo.generation.long_video import BASELINES
from exvideo.generation.memory import save_memory
from exvideo.generation.published_weights import is_published
from exvideo.generation.second_pass import second_pass
from exvideo.generation.text_to_video import first_frame

__all__ = [
    "BASELINES",
    "GenerationError",
    "Sampling",
    "best_device",
    "default_dtype",
    "extended_pipeline",
    "first_frame",
    "image_to_video",
    "is_published",
    "load_base",
    "load_model",
    "save_memory",
    "second_pass",
]
