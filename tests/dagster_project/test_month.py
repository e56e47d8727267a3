"""A month of retraining: files come, clocks tick, a model becomes the champion, a worse one not."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from dagster_project.definitions import road
from dagster_project.preset import PresetResource
from dagster_project.retraining import videos_have_come, weekly_retraining
from dagster_project.stages import Stages
from exvideo import receipt
from exvideo.clips.split import held_out_videos
from exvideo.config import Preset, load_preset
from exvideo.latents import workers
from exvideo.latents.plan import ShardPlan
from exvideo.progress import Silent
from exvideo.receipt import Receipt, read_receipt, stage_folder
from exvideo.registry import Registry
from exvideo.video.write import write_mp4
from exvideo.world import TRAIN_PHOTOGRAPHS, random_spec, render_clip
from pipelines.stage import run_stage

SMALL: dict[str, Any] = {
    "clips.num_frames": 9,
    "clips.height": 32,
    "clips.width": 32,
    "clips.max_clips_per_video": 1,
    "clips.held_out_videos": 0.5,
    "clips.workers": 1,
    "latents.clips_per_shard": 4,
    "latents.noise_augmentations": 1,
    "training.steps": 2,
    "training.start": "champion",
    "training.precision": "float32",
    "training.warmup_steps": 1,
    "training.ema_decay": 0.0,
    "training.log_every": 1,
    "training.validate_every": 2,
    "training.validation_clips": 1,
    "training.sample_clips": 0,
    "training.checkpoint_every": 2,
    "evaluation.clips": 5,  # fewer have no interval, and no new model would pass
    "evaluation.sampling_steps": 1,
    "evaluation.precision": "float32",
    "evaluation.grid_clips": 1,
    "evaluation.grid_frames": 2,
    "evaluation.flow.iterations": 1,
    "retraining.min_new_videos": 4,
}


KEPT_SEEDS = (2, 3, 5, 6, 7, 10, 12, 15, 16, 18, 20, 23)
"""Of rendered videos that the filters keep at this size: stripes look interlaced in others."""


def _is_held_out(video: Path) -> bool:
    return bool(held_out_videos({str(video): None}, SMALL["clips.held_out_videos"]))


class Month:
    """November 2026, whose 2nd is a Monday, and a folder that videos come to."""

    def __init__(self, root: Path, instance: dg.DagsterInstance) -> None:
        self.now = datetime(2026, 11, 1, tzinfo=UTC)
        self.videos = root / "videos"
        self.videos.mkdir()
        source = {"kind": "local", "paths": [str(self.videos)]}
        self.settings = {**SMALL, "storage.root": str(root), "source": source}
        self._instance = instance
        self._cursor: str | None = None
        self._seeds = iter(KEPT_SEEDS)

    @property
    def preset(self) -> Preset:
        return load_preset("tiny", self.settings)

    def videos_come(self, train: int, held_out: int) -> None:
        """The split draws by the path: each file gets a name that falls to its side."""
        for wanted in [False] * train + [True] * held_out:
            seed = next(self._seeds)
            names = (self.videos / f"{seed}-{take}.mp4" for take in count())
            path = next(it for it in names if _is_held_out(it) == wanted)
            clip = render_clip(random_spec(seed, TRAIN_PHOTOGRAPHS, fps=24), 9, 64, 64)
            write_mp4(path, clip.frames, 24, crf=8)

    def schedule_until(self, day: int) -> list[str]:
        """What the schedule says at each of its times; what it asks for is run."""
        end, said = datetime(2026, 11, day, 12, tzinfo=UTC), []
        cron, zone = weekly_retraining.cron_schedule, weekly_retraining.execution_timezone
        for time in schedule_execution_time_iterator(self.now.timestamp(), cron, zone):
            if time > end:
                break
            self.now = time
            context = dg.build_schedule_context(
                self._instance, time, resources={"preset": self._resource}
            )
            said.append(self._act(weekly_retraining.evaluate_tick(context)))
        self.now = end
        return said

    def sensor(self) -> str:
        """What the sensor says now; what it asks for is run."""
        context = dg.build_sensor_context(
            self._instance, self._cursor, resources={"preset": self._resource}
        )
        answer = videos_have_come.evaluate_tick(context)
        self._cursor = answer.cursor
        return self._act(answer)

    @property
    def _resource(self) -> PresetResource:
        return PresetResource(name="tiny", overrides=self.settings)

    def _act(self, answer: Any) -> str:
        for request in answer.run_requests or ():
            retraining = road().resolve_job_def("retraining")
            ended = retraining.execute_in_process(
                request.run_config, self._instance, tags=request.tags
            )
            assert ended.success
            return f"trained: {request.tags['exvideo/because']}"
        return f"skipped: {answer.skip_message}"

    def receipt(self, stage: str) -> Receipt:
        found = read_receipt(stage_folder(self.preset, stage))
        assert found is not None
        return found

    def champion(self) -> str | None:
        found = Registry(self.preset).champion()
        return found.number if found else None

    def written(self, stage: str, pattern: str) -> dict[str, int]:
        """A stage's files by name, with the nanosecond they were written at."""
        folder = Path(str(stage_folder(self.preset, stage)))
        return {it.name: it.stat().st_mtime_ns for it in folder.rglob(pattern)}


@pytest.fixture
def month(tmp_path: Path, trained_here: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Month]:
    """Its stages run in this process, without Ray or a launcher: what they import is paid once."""

    def run(stages: Stages, context: dg.AssetExecutionContext, stage: str) -> Receipt:
        program = import_module(f"pipelines.{stage}").STAGE
        return run_stage(program, stages.preset.load(), Silent())

    def write_shards(plans: Sequence[ShardPlan], worker: Any, task: Any, *_: object) -> None:
        writes = worker(task)
        for plan in plans:
            list(writes.write(plan))

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return month.now

    with dg.instance_for_test() as instance:
        month = Month(tmp_path, instance)
        monkeypatch.setattr(Stages, "run", run)
        monkeypatch.setattr(workers, "write_shards", write_shards)
        monkeypatch.setattr(receipt, "datetime", Clock)
        yield month


@pytest.mark.timeout(3600)  # two models, on a machine that may be busy
def test_a_month(month: Month) -> None:
    month.videos_come(train=1, held_out=2)
    [monday] = month.schedule_until(day=2)
    assert monday == (
        "skipped: 3 new video files since the beginning: there is no model yet; "
        "retraining.min_new_videos is 4"
    )

    month.videos_come(train=2, held_out=3)
    [monday] = month.schedule_until(day=9)
    assert monday.startswith("trained: 8 new video files since the beginning")
    assert month.champion() == "1"
    assert month.receipt("latent_shards").figures["clips"] == 8
    shards = month.written("latent_shards", "shard-*.parquet")

    [monday] = month.schedule_until(day=16)
    assert monday.startswith("skipped: 0 new video files since the model of 09 November 2026, 03:0")

    # From here on a sensor watches; and somebody has slipped in the learning rate.
    month.videos_come(train=4, held_out=0)
    month.settings["training.learning_rate"] = 0.04
    assert month.sensor().startswith("trained: 4 new video files since the model of 09 November")
    gate = month.receipt("champion").figures
    assert (gate["passes"], gate["candidate"], month.champion()) == (False, "version 2", "1")
    one, two = (Registry(month.preset).version(number) for number in ("1", "2"))
    assert two.tags["gate.verdict"].startswith("refused: ")
    assert (one.tags["started_from"], two.tags["started_from"]) == ("", one.sha256)

    again = month.written("latent_shards", "shard-*.parquet")
    assert {name: again[name] for name in shards} == shards, "what was encoded stays as it was"
    assert month.receipt("latent_shards").figures["clips"] == 12
    assert len(again) - len(shards) == 1, "four new clips"

    assert month.sensor().startswith("skipped: 0 new video files since the model of 16 November")
    assert all(it.startswith("skipped: 0 new") for it in month.schedule_until(day=30))
