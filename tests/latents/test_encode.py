"""Encoding agrees with diffusers' pipeline, which consumes the rows' kind at inference."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from exvideo.latents.encode import ClipEncoder, NotFiniteError, draw_noise, to_pixels
from exvideo.latents.manifest import Encoding
from exvideo.models import base_id, load_pipeline
from tests.latents.small_device import SmallDevice
from tests.models.tiny import TINY_SVD

FRAMES = np.random.default_rng(0).integers(0, 256, (5, 64, 48, 3), np.uint8)


def encoding(**changes) -> Encoding:
    settings = {"dtype": "float32", "frames_per_batch": 2, "noise_augmentations": 3, **changes}
    return Encoding(base_id=base_id(TINY_SVD), preprocessing="made", **settings)


@pytest.fixture(scope="module")
def encoder() -> ClipEncoder:
    return ClipEncoder(TINY_SVD, encoding(), torch.device("cpu"))


@pytest.fixture(scope="module")
def pipeline():
    return load_pipeline(TINY_SVD)


@pytest.fixture(scope="module")
def row(encoder):
    return encoder.encode("a", FRAMES)


def test_latents_are_raw_posterior_means_of_every_frame(row, pipeline):
    pixels = torch.from_numpy(FRAMES).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        means = torch.cat([pipeline.vae.encode(frame[None]).latent_dist.mode() for frame in pixels])
    np.testing.assert_allclose(row.latents, means, atol=2e-3, rtol=2e-3)


def test_log_variances_are_those_of_the_posteriors_where_they_are_asked_for(row, pipeline):
    asked = ClipEncoder(TINY_SVD, encoding(log_variance=True), torch.device("cpu"))
    both = asked.encode("a", FRAMES)
    pixels = torch.from_numpy(FRAMES).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        expected = torch.cat([pipeline.vae.encode(it[None]).latent_dist.logvar for it in pixels])
    np.testing.assert_allclose(both.log_variances, expected, atol=2e-3, rtol=2e-3)
    assert both.log_variances.shape == asked.shapes(5, 64, 48).log_variances
    assert row.log_variances is None
    np.testing.assert_array_equal(both.latents, row.latents)


def test_the_first_frame_is_kept_without_loss(row):
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(row.first_frame))), FRAMES[0])


@pytest.mark.parametrize("size", [(64, 48), (304, 424)])
def test_image_embeds_are_those_of_the_pipeline(encoder, pipeline, size):
    frames = np.random.default_rng(1).integers(0, 256, (2, *size, 3), np.uint8)
    with torch.no_grad():
        expected = pipeline._encode_image(Image.fromarray(frames[0]), "cpu", 1, False)[0, 0]
    stored = encoder.encode("a", frames).image_embeds
    np.testing.assert_array_equal(stored, expected.numpy().astype("float16"))


def test_cond_latents_are_the_modes_of_the_noised_first_frame(row, pipeline):
    strengths, noise = draw_noise("a", 3, (3, 64, 48))
    picture = pipeline.video_processor.preprocess(Image.fromarray(FRAMES[0]), height=64, width=48)
    for strength, unit, latents in zip(strengths, noise, row.cond_latents, strict=True):
        with torch.no_grad():
            expected = pipeline._encode_vae_image(picture + strength * unit, "cpu", 1, False)[0]
        np.testing.assert_allclose(latents, expected, atol=2e-3, rtol=2e-3)
    np.testing.assert_array_equal(row.noise_aug_strengths, strengths)


def test_strengths_follow_their_distribution():
    strengths, noise = draw_noise("a", 20_000, (1,))
    logs = strengths.log()
    # Standard errors of mean and deviation are 0.0035 and 0.0025.
    assert logs.mean() == pytest.approx(-3, abs=0.015)
    assert logs.std() == pytest.approx(0.5, abs=0.01)
    assert noise.std() == pytest.approx(1, abs=0.02)


def test_noise_belongs_to_the_clip():
    for first, second in zip(
        draw_noise("a", 2, (3, 8, 8)), draw_noise("a", 2, (3, 8, 8)), strict=True
    ):
        assert torch.equal(first, second)
    assert not torch.equal(draw_noise("a", 2, (1,))[0], draw_noise("b", 2, (1,))[0])


def test_encoding_again_gives_the_same_bytes(encoder, row):
    assert encoder.encode("a", FRAMES).crc32c() == row.crc32c()


def test_shapes_are_known_before_encoding(encoder, row):
    shapes = encoder.shapes(5, 64, 48)
    assert row.latents.shape == shapes.latents == (5, 4, 8, 6)
    assert row.image_embeds.shape == shapes.image_embeds
    assert row.cond_latents.shape == shapes.cond_latents == (3, 4, 8, 6)


def test_bfloat16_stays_near_float32(row):
    coarse = ClipEncoder(TINY_SVD, encoding(dtype="bfloat16"), torch.device("cpu"))
    latents = coarse.encode("a", FRAMES).latents.astype("float32")
    error = np.abs(latents - row.latents).mean() / np.abs(row.latents.astype("float32")).mean()
    assert 0 < error < 0.05


def test_values_that_are_not_finite_are_refused():
    broken = ClipEncoder(TINY_SVD, encoding(), torch.device("cpu"))
    torch.nn.init.constant_(broken.vae.quant_conv.bias, 1e6)
    with pytest.raises(NotFiniteError, match="of cond_latents are not finite in float16"):
        broken.encode("a", FRAMES)


def test_pixels_span_minus_one_to_one():
    frames = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 2, 1, 1).expand(1, 2, 1, 3)
    assert to_pixels(frames).squeeze().tolist() == [[-1, 1]] * 3


def test_out_of_memory_halves_the_batch_and_goes_on_where_it_was(row):
    settings = encoding(frames_per_batch=5, noise_augmentations=2)
    small = ClipEncoder(TINY_SVD, settings, torch.device("cpu"))
    small.vae = SmallDevice(small.vae, most=2)
    again = small.encode("a", FRAMES)
    assert small.vae.batches == [2, 5, 2, 2, 1]  # the noised frames, then all
    np.testing.assert_allclose(again.latents, row.latents, atol=2e-3, rtol=2e-3)
    small.encode("b", FRAMES)
    assert small.vae.batches[5:] == [2, 2, 2, 1]


def test_a_frame_that_does_not_fit_alone_is_an_error():
    small = ClipEncoder(TINY_SVD, encoding(), torch.device("cpu"))
    small.vae = SmallDevice(small.vae, most=0)
    with pytest.raises(torch.OutOfMemoryError):
        small.encode("a", FRAMES)
