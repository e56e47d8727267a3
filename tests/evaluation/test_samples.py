"""Generating every phase's clips: deterministic, resumable, refusing what is unusable."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableVideoDiffusionPipeline

from exvideo.config import EvaluationConfig, ModelConfig, load_preset
from exvideo.errors import InputError
from exvideo.evaluation.samples import FirstFrame, Phase, Sample, generate_missing, samples
from exvideo.generation import Sampling, extended_pipeline, image_to_video
from exvideo.models import load_pipeline
from exvideo.progress import Silent
from tests.models.tiny import TINY_SVD, randomise

NUM_FRAMES = 10


class Counted(Silent):
    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def update(self, done: int, total: int, unit: str, **figures: float) -> None:
        self.seen.append((done, total))


@pytest.fixture
def config() -> EvaluationConfig:
    return load_preset("tiny", {"evaluation.sampling_steps": 1}).evaluation


@pytest.fixture
def wanted(tmp_path: Path) -> list[Sample]:
    random = np.random.default_rng(0)
    first_frames = [
        FirstFrame(name, random.integers(0, 256, (32, 32, 3), dtype=np.uint8)) for name in "ab"
    ]
    phases = [Phase("before", 0, None), Phase("after", 6, tmp_path / "trained.safetensors")]
    return list(samples(tmp_path / "clips", phases, first_frames, seeds=[0, 1]))


def load(phase: Phase) -> StableVideoDiffusionPipeline:
    pipeline = extended_pipeline(ModelConfig(base=TINY_SVD), NUM_FRAMES)
    if phase.extension:
        randomise(pipeline.unet)
    return pipeline


def test_every_phase_clip_and_seed_is_generated_at_the_extended_length(
    wanted: list[Sample], config: EvaluationConfig
) -> None:
    progress = Counted()
    generate_missing(wanted, load, NUM_FRAMES, config, progress)
    assert {sample.frames().shape for sample in wanted} == {(NUM_FRAMES, 32, 32, 3)}
    assert len({sample.frames().tobytes() for sample in wanted}) == 8
    assert progress.seen == [(done, 8) for done in range(9)]


def test_a_rerun_makes_only_what_is_missing_and_makes_it_the_same(
    wanted: list[Sample], config: EvaluationConfig
) -> None:
    generate_missing(wanted, load, NUM_FRAMES, config, Silent())
    lost = wanted[5]
    before, stamps = lost.frames(), {it.path: it.path.stat().st_mtime_ns for it in wanted}
    lost.path.unlink()
    loaded = []
    generate_missing(
        wanted, lambda phase: loaded.append(phase) or load(phase), NUM_FRAMES, config, Silent()
    )
    np.testing.assert_array_equal(lost.frames(), before)
    assert loaded == [lost.phase]
    changed = {it.path for it in wanted if it.path.stat().st_mtime_ns != stamps[it.path]}
    assert changed == {lost.path}


def test_before_post_tuning_the_first_native_frames_are_the_bases(
    wanted: list[Sample], config: EvaluationConfig
) -> None:
    """The extension starts as the identity: below the native length nothing changes."""
    image = wanted[0].first_frame.image
    clips = [
        image_to_video(pipeline, image, num_frames=8, sampling=Sampling(steps=2)).astype(int)
        for pipeline in (load_pipeline(TINY_SVD), load(wanted[0].phase))
    ]
    assert np.abs(clips[0] - clips[1]).max() <= 1


def test_a_diverged_model_is_named_and_leaves_no_file(
    wanted: list[Sample], config: EvaluationConfig
) -> None:
    def diverged(phase: Phase) -> StableVideoDiffusionPipeline:
        pipeline = load(phase)
        if phase.name == "after":
            with torch.no_grad():
                pipeline.unet.conv_out.bias.fill_(float("nan"))
        return pipeline

    with pytest.raises(InputError, match=r"after \(step 6\), clip a, seed 0: .*not finite"):
        generate_missing(wanted, diverged, NUM_FRAMES, config, Silent())
    assert [sample.path.exists() for sample in wanted] == [True] * 4 + [False] * 4
