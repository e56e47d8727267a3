from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.models import AutoencoderKLTemporalDecoder

from exvideo.generation.image_to_video import Sampling, image_to_video
from exvideo.training.objective import draw, make_batch
from exvideo.world import HELD_OUT_PHOTOGRAPHS, random_spec, render_clip
from pipelines.embedded.latent_pool import AUGMENTATIONS, PoolEncoder, load_pool
from pipelines.embedded.measure_base import spearman
from pipelines.embedded.real_frames import centre_square, real_frames
from pipelines.embedded.svd_parts import NATIVE_FRAMES, assemble, build_unet, save_image_encoder
from pipelines.embedded.train_base import SIGMA
from pipelines.embedded.train_raft import CROP, held_out_pairs, training_pair
from pipelines.embedded.train_temporal_decoder import (
    decoding_loss,
    freeze_all_but_temporal_layers,
    training_clip,
)
from pipelines.embedded.train_vae import build_vae, psnr


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    save_image_encoder(folder)
    torch.manual_seed(0)
    build_vae().save_pretrained(folder / "vae")
    return folder


def test_the_temporal_decoder_starts_as_a_decoder_of_single_frames() -> None:
    torch.manual_seed(0)
    vae = build_vae().eval()
    latents = torch.randn(4, 4, 4, 4)
    with torch.no_grad():
        together = vae.decode(latents, num_frames=4).sample
        alone = torch.cat([vae.decode(one[None], num_frames=1).sample for one in latents])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_only_what_joins_frames_in_the_decoder_is_trained_against_flicker(parts: Path) -> None:
    vae = AutoencoderKLTemporalDecoder.from_pretrained(parts / "vae")
    freeze_all_but_temporal_layers(vae)
    clip = training_clip(np.random.default_rng(0))
    assert clip.shape == (NATIVE_FRAMES, 3, 64, 64)
    decoding_loss(vae, clip[None], np.random.default_rng(0)).backward()
    trained = {name for name, p in vae.named_parameters() if p.grad is not None}
    assert any("temporal_res_block" in name for name in trained)
    assert all(
        "temporal_res_block" in name or "time_conv_out" in name or name.endswith("mix_factor")
        for name in trained
    )


def test_psnr_is_that_of_the_definition() -> None:
    class Darkens(torch.nn.Module):
        """A codec that loses exactly 10 grey levels."""

        def encode(self, pixels: torch.Tensor) -> "Darkens":
            self.latent_dist, self.mode = self, lambda: pixels
            return self

        def decode(self, latents: torch.Tensor, num_frames: int) -> "Darkens":
            self.sample = latents - 10 / 127.5
            return self

    frames = np.full((3, 8, 8, 3), 100, np.uint8)
    assert psnr(Darkens(), frames) == pytest.approx(20 * np.log10(255 / 10), abs=1e-3)


def test_held_out_real_frames_are_not_trained_on() -> None:
    train, held_out = real_frames(held_out=False), real_frames(held_out=True)
    assert "carphone_pristine" not in train
    assert "carphone_pristine" in held_out
    for name, frames in train.items():
        assert not np.array_equal(frames[-1], held_out[name][0])
        assert centre_square(frames[0], 64).shape == (64, 64, 3)


def test_raft_learns_from_flow_that_explains_its_frames() -> None:
    rng = np.random.default_rng(0)
    frames, flow = training_pair(3, rng)
    assert frames.shape == (2, 3, CROP, CROP)
    assert flow.shape == (2, CROP, CROP)
    y, x = torch.meshgrid(torch.arange(float(CROP)), torch.arange(float(CROP)), indexing="ij")
    at = torch.stack([x + flow[0], y + flow[1]], dim=-1) * 2 / (CROP - 1) - 1.0
    fetched = torch.nn.functional.grid_sample(frames[1:], at[None], align_corners=True)[0]
    inner = (slice(None), slice(32, -32), slice(32, -32))
    error = (fetched - frames[0])[inner].abs().mean()
    assert error < 0.6 * (frames[1] - frames[0])[inner].abs().mean()


def test_raft_is_measured_on_displacements_up_to_eight_pixels() -> None:
    for pair in held_out_pairs(4):
        assert pair.frames.shape == (2, 128, 128, 3)
        assert np.hypot(pair.flow[:, 0], pair.flow[:, 1]).max() <= 8.0


def test_a_clip_of_the_pool_trains_the_unet(parts: Path) -> None:
    clip = PoolEncoder(parts / "vae", parts / "image_encoder").clip(1)
    drawn = draw(0, 0, clip["latents"].shape, AUGMENTATIONS, SIGMA, 0.0)
    batch = make_batch([clip], [drawn], scaling_factor=0.5)
    assert batch.latents.shape == (1, NATIVE_FRAMES, 4, 16, 16)
    assert batch.added_time_ids[0, 0] == clip["fps"] - 1
    assert 0 <= batch.added_time_ids[0, 1] <= 255
    # The condition is the clip's first frame, but for its little noise.
    for condition in clip["cond_latents"]:
        errors = (clip["latents"] - condition).float().square().mean(dim=(1, 2, 3))
        assert errors.argmin() == 0


def test_the_pool_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="latent_pool"):
        load_pool(tmp_path)


def test_the_parts_make_a_pipeline_that_diffusers_runs(parts: Path) -> None:
    torch.manual_seed(0)
    unet = build_unet()
    assert 2e6 < sum(p.numel() for p in unet.parameters()) < 8e6
    pipeline = assemble(unet, build_vae(), parts)
    frame = render_clip(random_spec(0, HELD_OUT_PHOTOGRAPHS), 1, 64, 64).frames[0]
    sampling = Sampling(steps=2, guidance=(1.0, 1.0))
    frames = image_to_video(pipeline, frame, num_frames=3, sampling=sampling)
    assert frames.shape == (3, 64, 64, 3)


def test_spearman_sees_order_and_nothing_else() -> None:
    rising = np.array([1.0, 2.0, 3.0, 4.0])
    assert spearman(rising, np.exp(rising)) == pytest.approx(1.0)
    assert spearman(rising, -rising) == pytest.approx(-1.0)
    assert spearman(rising, np.array([1.0, 3.0, 2.0, 4.0])) == pytest.approx(0.8)
    assert spearman(np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])) == pytest.approx(
        0.866, abs=1e-3
    )
