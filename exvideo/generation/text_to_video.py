"""Text to video: any text-to-image model makes the first frame, then our model moves it."""

from pathlib import Path
from typing import Any

import torch
from diffusers.pipelines.auto_pipeline import AutoPipelineForText2Image
from PIL import Image

from exvideo.errors import InputError
from exvideo.generation.load import best_device


def first_frame(
    prompt: str,
    model: str | Path,
    *,
    seed: int = 0,
    height: int | None = None,
    width: int | None = None,
    steps: int | None = None,
    dtype: torch.dtype | None = None,
    **options: Any,
) -> Image.Image:
    """Draw `prompt` with the diffusers text-to-image model at `model`, a folder or a repository.

    Stable Diffusion 3, SDXL, PixArt, Hunyuan-DiT and the others that diffusers knows. Sizes,
    steps and further `options` (such as `guidance_scale`) are the model's own by default. The
    model is released before this returns, so that the video model finds the memory free.

    Raises:
        InputError: if there is no text-to-image model at that place.
    """
    device = best_device()
    dtype = dtype or (torch.float16 if device.type == "cuda" else torch.float32)
    try:
        pipeline = AutoPipelineForText2Image.from_pretrained(str(model), dtype=dtype)
    except (OSError, ValueError) as error:
        raise InputError(f"{model} can't be loaded as a text-to-image model: {error}") from error
    chosen = {"height": height, "width": width, "num_inference_steps": steps, **options}
    pipeline = pipeline.to(device)
    pipeline.set_progress_bar_config(disable=True)
    image = pipeline(
        prompt,
        generator=torch.Generator().manual_seed(seed),
        **{name: value for name, value in chosen.items() if value is not None},
    ).images[0]
    del pipeline
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return image
