"""A model in each of its forms gives the same clip."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableVideoDiffusionPipeline

from exvideo.errors import InputError
from exvideo.generation import (
    Sampling,
    image_to_video,
    is_published,
    load_model,
    save_memory,
    second_pass,
)
from exvideo.generation.published_weights import PUBLISHED_SCALE
from exvideo.models import extend, load_unet, save_extension
from exvideo.models.extension_file import ExtensionMetadata
from exvideo.models.pipeline_folder import save_pipeline
from tests.models.tiny import TINY_SVD, randomise

NUM_FRAMES = 10


@pytest.fixture
def extension(tmp_path: Path) -> Path:
    unet = extend(load_unet(TINY_SVD), NUM_FRAMES)
    randomise(unet, scale=0.02)
    path = tmp_path / "extension.safetensors"
    metadata = ExtensionMetadata(
        base_id=unet.config.base_id, num_frames=NUM_FRAMES, native_frames=8,
        scaling_factor=0.18215, sigma={}, step=1, data_digest=None,
    )  # fmt: skip
    save_extension(unet, path, metadata)
    return path


def clip(pipeline: StableVideoDiffusionPipeline, guidance: float = 1.0) -> np.ndarray:
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    sampling = Sampling(steps=2, guidance=(1.0, guidance))
    return image_to_video(pipeline, picture, height=32, width=32, sampling=sampling)


def test_every_form_of_a_model_gives_the_same_clip(extension: Path, tmp_path: Path) -> None:
    file = load_model(extension, TINY_SVD)
    described = {"base": TINY_SVD.model_dump(), "extension": extension.name}
    (tmp_path / "model.json").write_text(json.dumps(described))
    whole = tmp_path / "whole"
    save_pipeline(file, whole)
    expected = clip(file)
    assert expected.shape == (NUM_FRAMES, 32, 32, 3)
    for form in (tmp_path, whole):
        difference = np.abs(clip(load_model(form)).astype(int) - expected)
        assert difference.max() <= 1, "rounding may depend on where weights lie in memory"


@pytest.mark.parametrize("scale", [PUBLISHED_SCALE, 0.18215])
def test_published_weights_are_known_in_every_form(tmp_path: Path, scale: float) -> None:
    unet = extend(load_unet(TINY_SVD), NUM_FRAMES)
    metadata = ExtensionMetadata(
        base_id=None, num_frames=NUM_FRAMES, native_frames=8,
        scaling_factor=scale, sigma={}, step=1, data_digest=None,
    )  # fmt: skip
    save_extension(unet, tmp_path / "extension.safetensors", metadata)
    file = load_model(tmp_path / "extension.safetensors", TINY_SVD)
    save_pipeline(file, tmp_path / "whole")
    for pipeline in (file, load_model(tmp_path / "whole")):
        assert is_published(pipeline) == (scale == PUBLISHED_SCALE)


def test_in_half_precision_the_vae_stays_in_single(extension: Path) -> None:
    pipeline = load_model(extension, TINY_SVD, dtype=torch.bfloat16)
    assert (pipeline.unet.dtype, pipeline.vae.dtype) == (torch.bfloat16, torch.float32)
    half, single = clip(pipeline).astype(int), clip(load_model(extension, TINY_SVD))
    assert np.abs(half - single).mean() < 0.1 * single.std()
    enlarged = second_pass(
        pipeline, single, single[0], height=48, width=48, sampling=Sampling(steps=1)
    )
    assert enlarged.shape == (NUM_FRAMES, 48, 48, 3)


def test_an_extension_without_its_base_is_refused(extension: Path) -> None:
    with pytest.raises(InputError, match="name the base that it extends"):
        load_model(extension)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"neither model\.json nor model_index\.json"):
        load_model(tmp_path)


def test_saving_memory_changes_the_clip_by_rounding_only(extension: Path) -> None:
    pipeline = load_model(extension, TINY_SVD)
    expected = clip(pipeline, guidance=2.0).astype(int)
    batches = []
    hook = pipeline.unet.conv_in.register_forward_pre_hook(
        lambda _, inputs: batches.append(len(inputs[0]))
    )
    save_memory(pipeline)
    assert np.abs(clip(pipeline, guidance=2.0) - expected).max() <= 1
    hook.remove()
    assert batches == [NUM_FRAMES] * 4, "two steps, each two passes of one clip"
