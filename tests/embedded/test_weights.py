"""What ships in exvideo/weights keeps what its cards say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableVideoDiffusionPipeline

from exvideo.config import FlowConfig
from exvideo.evaluation.flow import Raft, load_raft
from exvideo.generation.image_to_video import Sampling, image_to_video
from exvideo.latents.encode import posterior_means, to_pixels
from exvideo.world import HELD_OUT_PHOTOGRAPHS, random_spec, render_clip
from pipelines.embedded.export import WEIGHTS
from pipelines.embedded.real_frames import centre_square, real_frames
from pipelines.embedded.train_raft import ITERATIONS, held_out_pairs
from pipelines.embedded.train_vae import psnr


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return StableVideoDiffusionPipeline.from_pretrained(WEIGHTS / "tiny_svd")


@pytest.fixture(scope="module")
def raft() -> Raft:
    weights = str(WEIGHTS / "raft_small.safetensors")
    return load_raft(FlowConfig(model="raft_small", weights=weights, iterations=ITERATIONS))


def test_all_weights_together_are_under_25_megabytes() -> None:
    files: list[Path] = [file for file in WEIGHTS.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 25e6
    assert {file.suffix for file in files} <= {".safetensors", ".json", ".md"}


def test_the_vae_gives_a_held_out_real_clip_back(pipeline: Any) -> None:
    clip = real_frames(held_out=True)["carphone_pristine"][::20]
    assert psnr(pipeline.vae, np.stack([centre_square(frame, 64) for frame in clip])) > 26.0


def test_scaled_latents_have_unit_deviation(pipeline: Any) -> None:
    specs = [random_spec(seed, HELD_OUT_PHOTOGRAPHS) for seed in range(32)]
    frames = np.stack([render_clip(spec, 1, 64, 64).frames[0] for spec in specs])
    with torch.no_grad():
        latents = posterior_means(to_pixels(torch.from_numpy(frames)), pipeline.vae)
    deviation = float(latents.std()) * pipeline.vae.config.scaling_factor
    assert deviation == pytest.approx(1.0, abs=0.2)


def test_the_base_makes_a_clip_at_its_native_length(pipeline: Any) -> None:
    frame = render_clip(random_spec(1, HELD_OUT_PHOTOGRAPHS), 1, 64, 64).frames[0]
    frames = image_to_video(pipeline, frame, sampling=Sampling(steps=4, guidance=(1.0, 1.0)))
    assert frames.shape == (8, 64, 64, 3)


def test_raft_measures_motion_over_photographs_it_never_saw(raft: Raft) -> None:
    errors, displacements = [], []
    for pair in held_out_pairs(8):
        difference = raft(pair.frames) - pair.flow
        errors.append(np.hypot(difference[:, 0], difference[:, 1]).mean())
        displacements.append(pair.speed)
    assert np.mean(errors) < 0.5
    assert np.mean(errors) < 0.2 * np.mean(displacements)
