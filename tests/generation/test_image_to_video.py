"""From a picture to a clip, with diffusers' own pipeline as the reference."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import StableVideoDiffusionPipeline
from PIL import Image

from exvideo.errors import InputError
from exvideo.generation import GenerationError, Sampling, image_to_video
from exvideo.generation.image_to_video import decode

SMALL = {"height": 32, "width": 48, "num_frames": 5}
TWO_STEPS = Sampling(steps=2, guidance=(1.0, 1.0))


@pytest.fixture
def picture() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_frames_are_those_of_diffusers_own_call(
    pipeline: StableVideoDiffusionPipeline, picture: Image.Image
) -> None:
    ours = image_to_video(
        pipeline, picture, **SMALL, sampling=Sampling(steps=2, guidance=(1.0, 2.0), seed=3)
    )
    theirs = pipeline(
        picture, height=32, width=48, num_frames=5, num_inference_steps=2,
        min_guidance_scale=1.0, max_guidance_scale=2.0, fps=7, decode_chunk_size=8,
        generator=torch.Generator().manual_seed(3), output_type="np",
    ).frames[0]  # fmt: skip
    assert ours.shape == (5, 32, 48, 3)
    np.testing.assert_array_equal(ours, np.uint8(np.round(theirs * 255)))


def test_guidance_that_diffusers_breaks_off_at_is_refused() -> None:
    with pytest.raises(InputError, match="guidance falls from 3 at the first frame to 1 at the"):
        Sampling(guidance=(3.0, 1.0))


def test_the_same_seed_gives_the_same_clip_and_another_seed_another(
    pipeline: StableVideoDiffusionPipeline, picture: Image.Image
) -> None:
    first, again, other = (
        image_to_video(pipeline, picture, **SMALL, sampling=replace(TWO_STEPS, seed=seed))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_extended_length_is_the_default(
    pipeline: StableVideoDiffusionPipeline, picture: Image.Image
) -> None:
    clip = image_to_video(pipeline, picture, height=32, width=48, sampling=TWO_STEPS)
    assert clip.shape == (12, 32, 48, 3)


def test_guidance_of_one_leaves_the_second_forward_pass_out(
    pipeline: StableVideoDiffusionPipeline, picture: Image.Image
) -> None:
    batches = []
    pipeline.unet.register_forward_pre_hook(lambda _, inputs: batches.append(len(inputs[0])))
    image_to_video(pipeline, picture, **SMALL, sampling=TWO_STEPS)
    image_to_video(pipeline, picture, **SMALL, sampling=replace(TWO_STEPS, guidance=(1.0, 1.5)))
    assert batches == [1, 1, 2, 2]


def test_steps_are_reported(pipeline: StableVideoDiffusionPipeline, picture: Image.Image) -> None:
    steps: list[tuple[int, int]] = []
    image_to_video(
        pipeline,
        picture,
        **SMALL,
        sampling=TWO_STEPS,
        on_step=lambda done, total: steps.append((done, total)),
    )
    assert steps == [(1, 2), (2, 2)]


def test_decoding_in_chunks_changes_only_what_the_decoder_mixes_over_time(
    pipeline: StableVideoDiffusionPipeline,
) -> None:
    latents = torch.randn(1, 6, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    chunks = replace(TWO_STEPS, decode_chunk_size=3)
    parts = [decode(pipeline, latents[:, :3], chunks), decode(pipeline, latents[:, 3:], chunks)]
    np.testing.assert_array_equal(decode(pipeline, latents, chunks), np.concatenate(parts))


def test_diverged_weights_are_refused(
    pipeline: StableVideoDiffusionPipeline, picture: Image.Image
) -> None:
    with torch.no_grad():
        pipeline.unet.conv_out.bias.fill_(float("nan"))
    with pytest.raises(GenerationError, match="not finite"):
        image_to_video(pipeline, picture, **SMALL, sampling=TWO_STEPS)


def test_sizes_that_the_unet_cannot_halve_are_refused(
    pipeline: StableVideoDiffusionPipeline, picture: Image.Image
) -> None:
    with pytest.raises(InputError, match="height 40 and width 48 must be multiples of 16"):
        image_to_video(pipeline, picture, height=40, width=48)


def test_a_clip_longer_than_the_extension_is_refused(
    pipeline: StableVideoDiffusionPipeline, picture: Image.Image
) -> None:
    with pytest.raises(InputError, match="extended to 12 frames, not to 13"):
        image_to_video(pipeline, picture, height=32, width=48, num_frames=13)


def test_any_picture_is_cut_to_the_clips_shape(
    pipeline: StableVideoDiffusionPipeline,
) -> None:
    transparent = Image.new("RGBA", (100, 37), (200, 30, 30, 128))
    clip = image_to_video(pipeline, transparent, **SMALL, sampling=TWO_STEPS)
    assert clip.shape == (5, 32, 48, 3)
    with pytest.raises(InputError, match="an image is uint8"):
        image_to_video(pipeline, np.zeros((3, 32, 48)), **SMALL)
