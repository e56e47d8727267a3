"""The stage, from a clips manifest to training samples, on an object store."""

import os
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from upath import UPath

from exvideo.clips.manifest import Clip, write_clips
from exvideo.config import Preset, load_preset
from exvideo.config.base_folder import SVD_XT
from exvideo.errors import InputError
from exvideo.latents.dataset import LatentClips
from exvideo.latents.manifest import LatentManifest, read_manifest
from exvideo.latents.plan import ShardPlan, plan_shards
from exvideo.latents.shard_worker import EncodingTask, ShardWorker
from exvideo.latents.speed import Done
from exvideo.progress import Silent
from exvideo.receipt import Receipt, read_receipt, stage_folder, write_receipt
from pipelines.latent_shards import STAGE
from pipelines.stage import run_stage
from tests.latents.videos import FRAMES, make_clip
from tests.models.tiny import TINY_SVD


def preset_at(root: UPath, scratch: Path, changes: Mapping[str, Any] | None = None) -> Preset:
    return load_preset(
        "tiny",
        {
            "storage.root": str(root),
            "storage.scratch": str(scratch),
            "storage.min_free_gb": 0,
            "clips.num_frames": FRAMES,
            "evaluation.grid_frames": FRAMES,
            "model.base": TINY_SVD.model_dump(),
            "latents.clips_per_shard": 2,
            **(changes or {}),
        },
    )


def finish_inputs(preset: Preset, videos: Path, clips: Sequence[Clip]) -> UPath:
    """Receipts and files as the two stages before leave them; returns the videos' folder."""
    sources = stage_folder(preset, "source_videos")
    for video in videos.glob("*.mp4"):
        (sources / "folder").mkdir(parents=True, exist_ok=True)
        (sources / "folder" / video.name).write_bytes(video.read_bytes())
    manifest = write_clips(stage_folder(preset, "clips") / "folder", list(clips))
    for stage, digest, files in (
        ("source_videos", "unchanged", {}),
        ("clips", manifest.digest, {"manifest": manifest.name}),
    ):
        receipt = Receipt(
            stage=stage,
            key=digest,
            folder="folder",
            digest=digest,
            files=files,
            figures={},
            seconds=0,
        )
        write_receipt(stage_folder(preset, stage), receipt)
    return sources / "folder"


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    return folder


def test_bytes_do_not_tell_who_wrote_them_nor_where(bucket, videos, tmp_path):
    preset = preset_at(bucket, tmp_path / "scratch")
    clips = [make_clip(videos, f"clip-{i}") for i in range(4)]
    rejected = clips[0].model_copy(update={"clip_id": "rejected", "status": "rejected"})
    sources = finish_inputs(preset, videos, [*clips, rejected])
    receipt = run_stage(STAGE, preset, Silent())
    assert (receipt.figures["clips"], receipt.figures["shards written now"]) == (4, 2)
    assert receipt.figures["clips a second"] > 0
    assert receipt.figures["video-hours a day"] > 0
    assert 0 < receipt.figures["encoders' busy share"] <= 1

    local = UPath(tmp_path / "by-hand")
    local.mkdir()
    task = EncodingTask(TINY_SVD, latents_of(preset).encoding, sources, local, 60, "cpu")
    threads = torch.get_num_threads()
    with closing(ShardWorker(task)) as worker:
        for plan in plan_shards(clips, [], 2, task.encoding):
            assert len(list(worker.write(plan))) == 2
    torch.set_num_threads(threads)
    for file in local.iterdir():
        assert output_of(preset, file.name).read_bytes() == file.read_bytes()

    slower = [clip.model_copy(update={"fps": 12.0}) for clip in clips[1:]]
    finish_inputs(preset, videos, slower)
    receipt = run_stage(STAGE, preset, Silent())
    assert (receipt.figures["clips"], receipt.figures["shards written now"]) == (3, 0)
    assert not {"clips a second", "encoders' busy share"} & receipt.figures.keys()
    train = LatentClips(output_of(preset, ""), latents_of(preset), "train")
    assert [train[i]["clip_id"] for i in range(3)] == ["clip-1", "clip-2", "clip-3"]
    assert train[0]["latents"].shape == (FRAMES, 4, 8, 8)
    assert train[0]["fps"] == 12


def output_of(preset: Preset, file: str) -> UPath:
    folder = stage_folder(preset, "latent_shards")
    return folder / read_receipt(folder).folder / file


def latents_of(preset: Preset) -> LatentManifest:
    receipt = read_receipt(stage_folder(preset, "latent_shards"))
    return read_manifest(output_of(preset, receipt.files["manifest"]))


class KilledOnce(ShardWorker):
    """Dies within a shard where its sources' folder says so."""

    def write(self, plan: ShardPlan) -> Iterator[Done]:
        deadly = self.task.sources / "deadly"
        for done in super().write(plan):
            yield done
            if deadly.exists():
                deadly.unlink()
                os.kill(os.getpid(), signal.SIGKILL)


def test_a_stage_that_ends_well_leaves_no_part_of_a_killed_workers_shard(
    videos, tmp_path, monkeypatch
):
    preset = preset_at(UPath(tmp_path / "data"), tmp_path / "scratch")
    sources = finish_inputs(preset, videos, [make_clip(videos, it) for it in "abc"])
    (sources / "deadly").touch()
    monkeypatch.setattr("exvideo.latents.shard_worker.ShardWorker", KilledOnce)
    run_stage(STAGE, preset, Silent())
    assert not (sources / "deadly").exists()
    assert len(list((tmp_path / "data").rglob("shard-*.parquet"))) == 2
    assert list((tmp_path / "data").rglob("*.part")) == []


def test_without_a_kept_clip_it_says_where_the_reasons_are(videos, tmp_path):
    preset = preset_at(UPath(tmp_path), tmp_path / "scratch")
    clip = make_clip(videos, "a").model_copy(update={"status": "rejected"})
    finish_inputs(preset, videos, [clip])
    with pytest.raises(InputError, match=r"clips/folder: no clip was kept; its manifest"):
        run_stage(STAGE, preset, Silent())


def test_a_size_that_only_a_base_from_the_hub_refuses_is_refused_before_any_encoding(
    videos, tmp_path, monkeypatch
):
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = tmp_path / "cache" / "models--someone--svd" / "snapshots" / commit
    shutil.copytree(SVD_XT, snapshot)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    base = {"kind": "pretrained", "path": "someone/svd", "revision": commit}
    sizes = {"clips.height": 40, "clips.width": 40, "clips.num_frames": FRAMES}
    preset = load_preset(
        "tiny",
        {"storage.root": str(tmp_path), "model.base": base, "evaluation.grid_frames": 2, **sizes},
    )
    finish_inputs(preset, videos, [make_clip(videos, "a")])
    with pytest.raises(InputError, match="height 40 and width 40 must be multiples of 64"):
        run_stage(STAGE, preset, Silent())


def test_settings_of_no_influence_leave_the_output_where_it_is(tmp_path):
    preset = preset_at(UPath(tmp_path), tmp_path)
    settings = preset.latents.model_copy(update={"workers": 7, "gpus_per_worker": 1.0})
    assert STAGE.sections(preset.model_copy(update={"latents": settings})) == STAGE.sections(preset)
    settings = preset.latents.model_copy(update={"precision": "bfloat16"})
    assert STAGE.sections(preset.model_copy(update={"latents": settings})) != STAGE.sections(preset)
