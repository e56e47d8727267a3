"""A worker writes the shard of its plan, and says which clips are missing and why."""

import pickle
from contextlib import closing
from multiprocessing import active_children

import pytest
import torch
from upath import UPath

from exvideo.clips.read import read_clip
from exvideo.latents.dataset import LatentClips
from exvideo.latents.manifest import Encoding, LatentClip, manifest_of
from exvideo.latents.plan import plan_shards
from exvideo.latents.shard import finished_shard
from exvideo.latents.shard_worker import EncodingTask, ShardWorker
from exvideo.models import base_id
from exvideo.video.decoder import Decoder
from tests.latents.small_device import SmallDevice
from tests.latents.videos import FRAMES, make_clip
from tests.models.tiny import TINY_SVD

ENCODING = Encoding(
    base_id=base_id(TINY_SVD),
    preprocessing="made",
    dtype="float32",
    frames_per_batch=3,
    noise_augmentations=2,
)


def task(folder) -> EncodingTask:
    output = UPath(folder) / "latents"
    output.mkdir(exist_ok=True)
    return EncodingTask(TINY_SVD, ENCODING, UPath(folder), output, 60, "cpu")


@pytest.fixture
def clips(tmp_path):
    return [make_clip(tmp_path, it) for it in ("aa", "bb", "cc")]


@pytest.fixture
def worker(tmp_path):
    with closing(ShardWorker(task(tmp_path))) as worker:
        yield worker


def write(worker, clips):
    (plan,) = plan_shards(clips, [], len(clips), ENCODING)
    told = [it.clip_id for it in worker.write(plan)]
    return told, finished_shard(worker.task.output, plan.name)


def test_rows_are_the_clips_encoded(tmp_path, worker, clips):
    told, sidecar = write(worker, clips)
    assert told == ["aa", "bb", "cc"]
    assert sidecar.shard.clip_ids == ("aa", "bb", "cc")
    asked = [LatentClip(clip_id="bb", split="train", fps=24, motion_bucket_id=127)]
    manifest = manifest_of(asked, [sidecar], "digest")
    sample = LatentClips(UPath(tmp_path) / "latents", manifest, "train")[0]
    with Decoder(60) as decoder:
        row = worker.encoder.encode("bb", read_clip(clips[1], UPath(tmp_path), decoder))
    assert torch.equal(sample["latents"], torch.from_numpy(row.latents).float())
    assert sample["latents"].shape == (FRAMES, 4, 8, 8)


def test_what_passes_through_ray_is_ids_and_no_frame(worker, clips):
    (plan,) = plan_shards(clips, [], len(clips), ENCODING)
    frames = FRAMES * clips[0].height * clips[0].width * 3
    given, got = pickle.dumps(plan), [pickle.dumps(it) for it in worker.write(plan)]
    assert len(given) < len(clips) * 1_500 < frames
    assert max(map(len, got)) < 200


def test_a_broken_and_a_lost_video_are_missing_with_their_reasons(tmp_path, worker, clips):
    (tmp_path / "aa.mp4").write_bytes(b"no video")
    (tmp_path / "bb.mp4").unlink()
    told, sidecar = write(worker, clips)
    assert told == ["aa", "bb", "cc"]
    assert sidecar.shard.clip_ids == ("cc",)
    assert [it.clip_id for it in sidecar.missing] == ["aa", "bb"]
    assert [it.permanent for it in sidecar.missing] == [True, False]
    assert sidecar.missing[1].reason == "the file is gone"


def test_latents_that_are_not_finite_are_missing(worker, clips):
    torch.nn.init.constant_(worker.encoder.vae.quant_conv.bias, float("nan"))
    _, sidecar = write(worker, clips)
    assert sidecar.shard.rows == 0
    assert sidecar.statistics is None
    assert "not finite" in sidecar.missing[0].reason


def test_a_batch_that_memory_made_smaller_is_told(worker, clips):
    worker.encoder.vae = SmallDevice(worker.encoder.vae, most=1)
    _, sidecar = write(worker, clips)
    assert sidecar.shard.clip_ids == ("aa", "bb", "cc")
    assert sidecar.encoded_with["frames_per_batch"] == "1"


def test_a_finished_shard_is_not_written_again(tmp_path, worker, clips):
    write(worker, clips)
    (shard,) = (tmp_path / "latents").glob("*.parquet")
    before = shard.stat().st_mtime_ns
    told, _ = write(worker, clips)
    assert told == ["aa", "bb", "cc"]
    assert shard.stat().st_mtime_ns == before


def test_one_shard_after_the_other_is_decoded_by_the_same_processes(worker, clips):
    before = set(active_children())
    write(worker, clips[:2])
    decoding = set(active_children()) - before
    write(worker, clips[2:])
    assert decoding
    assert set(active_children()) - before == decoding
    worker.close()
    assert not decoding & set(active_children())


def test_a_damaged_shard_is_written_again(tmp_path, worker, clips):
    write(worker, clips)
    (shard,) = (tmp_path / "latents").glob("*.parquet")
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    write(worker, clips)
    assert shard.read_bytes() == content


def test_writing_again_gives_the_same_bytes(tmp_path, worker, clips):
    write(worker, clips)
    files = [*(tmp_path / "latents").iterdir()]
    first = {it.name: it.read_bytes() for it in files}
    for it in files:
        it.unlink()
    with closing(ShardWorker(task(tmp_path))) as other:
        write(other, clips)
    assert {it.name: it.read_bytes() for it in (tmp_path / "latents").iterdir()} == first
