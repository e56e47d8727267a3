"""The stage and a training on a real object store, all three of which die on the way."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import torch
from botocore.exceptions import BotoCoreError
from upath import UPath

from exvideo.clips.manifest import Clip
from exvideo.config import Preset
from exvideo.config.preset_file import render
from exvideo.latents.dataset import LatentClips, LatentSample
from exvideo.latents.manifest import LatentManifest
from exvideo.latents.plan import plan_shards
from exvideo.latents.shard_worker import EncodingTask, ShardWorker
from exvideo.progress import Silent
from exvideo.receipt import stage_folder
from exvideo.supervised import SupervisedProcess, supervised
from exvideo.training.distributed import Ranks
from exvideo.training.job import TrainingJob
from exvideo.training.load import load_extended_unet
from exvideo.training.partitions import whole_tensors
from exvideo.training.train import Trainer
from pipelines.stage import SUPERVISED
from tests.latents.test_stage import finish_inputs, latents_of, output_of, preset_at
from tests.latents.videos import make_clip
from tests.object_store import RealStore
from tests.process.census import lives, wait_until
from tests.training.tiny import BASE, training_job

AWAY = (OSError, BotoCoreError)
"""What reading raises while there is no store."""

CLIPS = 12
"""A shard each, so that a part of them is written when something dies."""


@dataclass
class StageRun:
    """The stage's program below its supervisor, as Dagster starts it."""

    process: SupervisedProcess
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text()

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        wait_until(lambda: condition() or self.process.poll() is not None, 900, what)
        assert self.process.poll() is None, self.said

    def kill(self) -> None:
        """SIGKILL to the program itself; returns when its supervisor has ended, too."""
        supervisor = psutil.Process(self.process.process.pid)
        processes = supervisor.children(recursive=True)
        (stage,) = [it for it in supervisor.children() if "pipelines.latent_shards" in it.cmdline()]
        stage.kill()
        assert self.process.wait(900) == 128 + signal.SIGKILL
        assert [it for it in processes if lives(it.pid)] == []


@contextmanager
def started(preset: Preset, folder: Path) -> Iterator[StageRun]:
    settings, log = folder / "preset.yaml", folder / "log.txt"
    settings.write_text(render(preset))
    command = [sys.executable, "-m", "pipelines.latent_shards", "--preset", str(settings)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", SUPERVISED: "1"}
    with (
        log.open("wb") as output,
        supervised(command, environment, stdout=output, stderr=output) as process,
    ):
        yield StageRun(process, log)


def sidecars(preset: Preset) -> int:
    output = stage_folder(preset, "latent_shards")
    output.fs.invalidate_cache()  # others write
    return len(list(output.glob("*/shard-*.json")))


def write_undisturbed(
    folder: UPath, clips: Sequence[Clip], videos: Path, preset: Preset, latents: LatentManifest
) -> None:
    """The same shards, by one worker on local files."""
    folder.mkdir()
    task = EncodingTask(preset.model.base, latents.encoding, UPath(videos), folder, 60, "cpu")
    with closing(ShardWorker(task)) as worker:
        for plan in plan_shards(clips, [], 1, latents.encoding):
            list(worker.write(plan))


class LostAt(LatentClips):
    """Clips whose store dies before the n-th of them is read."""

    def __init__(self, store: RealStore, read: int, *data: object) -> None:
        super().__init__(*data)
        self.store, self.left = store, read

    def __getitem__(self, index: int) -> LatentSample:
        self.left -= 1
        if self.left == 0:
            self.store.kill()
        return super().__getitem__(index)


def trained(
    job: TrainingJob, rank: Ranks, clips: LatentClips, held_out: LatentClips
) -> dict[str, torch.Tensor]:
    """The weights that a training ends with."""
    training = Trainer(job, rank, load_extended_unet(job), clips, held_out, Silent())
    assert training.run()
    return {name: it.clone() for name, it in whole_tensors(training.engine, training.state.weights)}


@pytest.mark.store
def test_a_stage_and_a_training_lose_nothing_to_a_store_that_dies_nor_to_their_own_deaths(
    real_store: RealStore,
    ranks: Ranks,
    tmp_path: Path,
) -> None:
    (bucket := UPath("s3://latents")).mkdir()
    preset = preset_at(
        bucket,
        tmp_path / "scratch",
        {"model.base": BASE.model_dump(), "latents.clips_per_shard": 1, "latents.workers": 1},
    )
    (videos := tmp_path / "videos").mkdir()
    clips = [make_clip(videos, f"clip-{i:02}") for i in range(CLIPS)]
    clips[0] = clips[0].model_copy(update={"split": "held_out"})
    finish_inputs(preset, videos, clips)

    with started(preset, tmp_path) as stage:
        stage.wait_until(lambda: sidecars(preset) > 0, "a shard is written")
        real_store.kill()
        stage.wait_until(lambda: "tried again" in stage.said, "a shard fails")
        real_store.start()
        there = sidecars(preset)
        stage.wait_until(lambda: sidecars(preset) > there, "a shard is written again")
        stage.kill()
    assert 0 < there < sidecars(preset) < CLIPS
    with started(preset, tmp_path) as stage:
        assert stage.process.wait(900) == 0, stage.said
    bucket.fs.invalidate_cache()

    latents = latents_of(preset)
    assert [it.clip_id for it in latents.clips] == [it.clip_id for it in clips]
    local = UPath(tmp_path) / "undisturbed"
    write_undisturbed(local, clips, videos, preset, latents)
    assert {it.name for it in local.iterdir()} == {
        it.name for it in output_of(preset, "").glob("shard-*")
    }
    for file in local.iterdir():
        assert output_of(preset, file.name).read_bytes() == file.read_bytes()

    expected = trained(
        training_job(tmp_path / "local"),
        ranks,
        LatentClips(local, latents, "train"),
        LatentClips(local, latents, "held_out"),
    )
    job = training_job(tmp_path / "remote")
    far = output_of(preset, "")
    held_out = LatentClips(far, latents, "held_out")
    # Of six steps of two clips, the third ends with a checkpoint behind it.
    with pytest.raises(AWAY):
        trained(job, ranks, LostAt(real_store, 6, far, latents, "train"), held_out)
    real_store.start()
    found = trained(job, ranks, LatentClips(far, latents, "train"), held_out)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], it) for name, it in expected.items())
