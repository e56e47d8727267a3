"""When a model is trained by itself: ticks over a folder that grows, against real receipts."""

from pathlib import Path

import dagster as dg
import pytest
from upath import UPath

from dagster_project.preset import PresetResource
from dagster_project.retraining import videos_have_come, weekly_retraining
from exvideo.clips.manifest import Clip, ClipPiece, write_clips
from exvideo.latents.manifest import manifest_of, write_manifest
from exvideo.receipt import Receipt, write_receipt
from tests.latents.rows import clip as latent_clip
from tests.latents.rows import write_shard

Tick = dg.RunRequest | dg.SkipReason | dg.SensorResult


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    return folder


@pytest.fixture
def preset(tmp_path: Path, videos: Path) -> PresetResource:
    return PresetResource(
        name="tiny",
        overrides={
            "storage.root": str(tmp_path),
            "source": {"kind": "local", "paths": [str(videos)]},
            "retraining.min_new_videos": 2,
        },
    )


def add(videos: Path, *names: str) -> None:
    for name in names:
        (videos / name).write_bytes(b"frames")


def train(root: Path, videos: Path) -> None:
    """What a model leaves that was trained on all of them."""
    stages = UPath(root) / "tiny"
    pieces = [
        ClipPiece(path=str(it), sha256="0" * 64, start_frame=0, num_frames=4)
        for it in sorted(videos.iterdir())
    ]
    rows = [
        Clip(
            clip_id=f"{number}", video_id=it.path, source="local", status="kept", pieces=[it],
            num_frames=4, height=8, width=8,
        )
        for number, it in enumerate(pieces)
    ]  # fmt: skip
    clips = write_clips(stages / "clips" / "0123456789ab", rows)
    shards = stages / "latent_shards" / "0123456789ab"
    shards.mkdir(parents=True, exist_ok=True)
    made = manifest_of([latent_clip("a")], [write_shard(shards, "shard-0", ["a"])], clips.digest)
    _, data = write_manifest(shards, made)
    receipt = Receipt(
        stage="post_tuned_model", key="k", folder="f", inputs={"latent_shards": data}, digest="d",
        files={}, figures={}, seconds=1,
    )  # fmt: skip
    write_receipt(stages / "post_tuned_model", receipt)


def sensor(preset: PresetResource, instance: dg.DagsterInstance, cursor: str | None = None) -> Tick:
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, resources={"preset": preset}
    )
    return videos_have_come(context)  # type: ignore[return-value]


def schedule(preset: PresetResource, instance: dg.DagsterInstance) -> Tick:
    context = dg.build_schedule_context(instance=instance, resources={"preset": preset})
    return weekly_retraining(context)  # type: ignore[return-value]


def reason(tick: Tick) -> str:
    assert isinstance(tick, dg.SkipReason)
    return str(tick.skip_message)


def test_a_month_in_ticks(preset: PresetResource, videos: Path, tmp_path: Path) -> None:
    with dg.instance_for_test() as instance:
        add(videos, "a.mp4", "b.mp4")
        first = sensor(preset, instance)
        assert isinstance(first, dg.SensorResult)
        [request] = first.run_requests or []
        assert request.run_config["resources"]["preset"]["config"]["overrides"] == preset.overrides
        assert "2 new video files since the beginning" in request.tags["exvideo/because"]
        said = reason(sensor(preset, instance, first.cursor))
        assert said.startswith("a run was asked for already"), "it has not ended well yet"

        train(tmp_path, videos)
        said = reason(sensor(preset, instance, first.cursor))
        assert said.startswith("0 new video files since the model of ")
        assert said.endswith("retraining.min_new_videos is 2")
        assert reason(schedule(preset, instance)) == said

        add(videos, "c.mp4", "notes.txt")
        assert reason(schedule(preset, instance)).startswith("1 new video files"), "notes are none"

        add(videos, "d.mp4")
        assert isinstance(schedule(preset, instance), dg.RunRequest)
        second = sensor(preset, instance, first.cursor)
        assert isinstance(second, dg.SensorResult)
        assert second.cursor != first.cursor
        train(tmp_path, videos)
        assert reason(schedule(preset, instance)).startswith("0 new video files")


def test_while_a_retraining_is_under_way_none_is_asked_for(
    preset: PresetResource, videos: Path
) -> None:
    add(videos, "a.mp4", "b.mp4")
    with dg.instance_for_test() as instance:
        run = instance.add_run(
            dg.DagsterRun(
                job_name="retraining", run_id="0123456789", status=dg.DagsterRunStatus.STARTED
            )
        )
        assert reason(sensor(preset, instance)) == f"the run {run.run_id[:8]} is under way"
        assert reason(schedule(preset, instance)) == f"the run {run.run_id[:8]} is under way"


def test_a_folder_that_is_not_there_is_the_ticks_reason(
    preset: PresetResource, videos: Path
) -> None:
    videos.rmdir()
    with dg.instance_for_test() as instance:
        assert f"source.paths: there is no {videos}" in reason(schedule(preset, instance))


def test_a_source_that_does_not_grow_is_new_until_a_model_has_seen_it(
    tmp_path: Path, videos: Path
) -> None:
    preset = PresetResource(name="tiny", overrides={"storage.root": str(tmp_path)})
    add(videos, "photograph.mp4")
    with dg.instance_for_test() as instance:
        assert isinstance(schedule(preset, instance), dg.RunRequest)
        train(tmp_path, videos)
        said = reason(schedule(preset, instance))
    assert said.startswith("0 new video files")
