"""A training on clips of two shapes, from their shards to the extension."""

import math
from pathlib import Path

import pytest
from upath import UPath

from exvideo.errors import InputError
from exvideo.latents.manifest import manifest_of, write_manifest
from exvideo.latents.schema import TensorShapes
from exvideo.progress import Silent
from exvideo.training.distributed import Ranks
from exvideo.training.job import TrainingJob
from exvideo.training.load import load_clips, load_extended_unet
from exvideo.training.metrics import read_metrics
from exvideo.training.samples import training_batches
from exvideo.training.train import Trainer
from tests.latents.rows import clip, write_shard
from tests.training.tiny import NUM_FRAMES, training_job


def shapes(frames: int, height: int, width: int) -> TensorShapes:
    latents, cond = (frames, 4, height, width), (2, 4, height, width)
    return TensorShapes(latents=latents, image_embeds=(32,), cond_latents=cond)


LONG, WIDE = shapes(NUM_FRAMES, 4, 4), shapes(2, 4, 8)


@pytest.fixture
def job(tmp_path: Path) -> TrainingJob:
    folder = UPath(tmp_path / "latents")
    sidecars = [
        write_shard(folder, "shard-0", ["a", "b", "c"], shapes=LONG),
        write_shard(folder, "shard-1", ["d", "e", "f"], shapes=WIDE),
    ]
    clips = [clip(it, "held_out" if it in "cf" else "train") for it in "abcdef"]
    name, _ = write_manifest(folder, manifest_of(clips, sidecars, "digest"))
    made = training_job(tmp_path, validation_clips=2)
    return made.model_copy(update={"latents": str(folder / name)})


def test_both_shapes_are_trained_and_validated_on(job: TrainingJob, ranks: Ranks) -> None:
    clips, held_out = load_clips(job)
    shown = [
        tuple(batch.latents.shape) for batch in training_batches(clips, job.training, ranks, 0)
    ]
    assert set(shown) == {(2, *LONG.latents), (2, *WIDE.latents)}
    trainer = Trainer(job, ranks, load_extended_unet(job), clips, held_out, Silent())
    assert trainer.run()
    rows = read_metrics(job.metrics)
    assert rows[-1]["step"] == job.training.steps
    assert all(math.isfinite(value) for row in rows for value in row.values())
    assert job.extension.is_file()


def test_a_model_of_another_length_is_refused(job: TrainingJob) -> None:
    longer = job.model_copy(update={"num_frames": 5})
    with pytest.raises(InputError, match="has clips of 4 frames, the job asks for 5"):
        load_clips(longer)
