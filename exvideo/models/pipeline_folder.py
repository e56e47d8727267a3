"""Whole extended pipelines as folders in diffusers' layout, and on the hub.

Who loads one imports `exvideo.models` and calls `StableVideoDiffusionPipeline.from_pretrained`:
diffusers takes a component's class only from libraries that the caller has imported.
"""

import os
import tempfile
from pathlib import Path

from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import (
    StableVideoDiffusionPipeline,
)
from huggingface_hub import HfApi, ModelCard, ModelCardData

from exvideo.models.svd import ExtendedUNet

USAGE = """\
# Stable Video Diffusion, extended to {num_frames} frames

The base model is {base}. Its U-Net was extended with [ExVideo](https://arxiv.org/abs/2406.14130)
from {native_frames} frames to {num_frames}.

```python
import exvideo.models
from diffusers import StableVideoDiffusionPipeline
from PIL import Image

pipeline = StableVideoDiffusionPipeline.from_pretrained("{place}")
frames = pipeline(Image.open("photo.png"), num_frames={num_frames}).frames[0]
```
"""


def save_pipeline(
    pipeline: StableVideoDiffusionPipeline,
    folder: str | os.PathLike[str],
    *,
    variant: str | None = None,
) -> None:
    """Write an extended pipeline with its model card, in diffusers' layout.

    Args:
        variant: such as `fp16`, becomes part of the weights' file names.
    """
    if not isinstance(pipeline.unet, ExtendedUNet):
        raise TypeError("The pipeline's U-Net is not extended: call exvideo.models.extend first.")
    # The pipeline noted its U-Net's class when it was made, perhaps before the extension.
    pipeline.register_modules(unet=pipeline.unet)
    pipeline.save_pretrained(folder, variant=variant)
    _card(pipeline.unet, str(folder)).save(Path(folder) / "README.md")


def push_pipeline(
    pipeline: StableVideoDiffusionPipeline,
    repository: str,
    *,
    variant: str | None = None,
    private: bool = True,
    api: HfApi | None = None,
) -> str:
    """Upload an extended pipeline as one commit to a repository, made if it does not exist.

    Args:
        repository: `owner/name`.
        api: the hub to talk to and its token, by default the user's own.

    Returns:
        The commit's hash.
    """
    api = api or HfApi()
    api.create_repo(repository, private=private, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        save_pipeline(pipeline, folder, variant=variant)
        _card(pipeline.unet, repository).save(Path(folder) / "README.md")
        commit = api.upload_folder(
            repo_id=repository, folder_path=folder, commit_message="Upload an extended pipeline"
        )
    return commit.oid


def _card(unet: ExtendedUNet, place: str) -> ModelCard:
    base = unet.config.get("base_id") or "unknown"
    repository = base.split("@")[0] if "@" in base else None
    header = ModelCardData(
        base_model=repository,
        library_name="diffusers",
        pipeline_tag="image-to-video",
        tags=["exvideo", "video"],
    )
    text = USAGE.format(
        num_frames=unet.config["num_frames"],
        native_frames=unet.config["extension"]["native_frames"],
        base=f"`{base}`",
        place=place,
    )
    return ModelCard(f"---\n{header.to_yaml()}\n---\n\n{text}")
