"""Checkpoints copied to a bucket, and fetched from it on another machine."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from upath import UPath

from exvideo.training import checkpoint_copies
from exvideo.training.checkpoint_copies import CheckpointCopies, fetch_newest
from exvideo.training.job import TrainingJob, newest_step
from tests.training.tiny import training_job


def write_checkpoint(job: TrainingJob, step: int) -> Path:
    """Two ranks' files and a manifest, as far as who copies them looks into them."""
    folder = job.checkpoints / f"step-{step:08d}"
    folder.mkdir(parents=True)
    files = []
    for rank in (0, 1):
        content = f"step {step} of rank {rank}".encode() * 100
        name = f"rank-{rank:05d}.safetensors"
        (folder / name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        files.append({"name": name, "size": len(content), "sha256": digest})
    (folder / "manifest.json").write_text(json.dumps({"files": files}))
    return folder


@pytest.fixture
def job(tmp_path: Path) -> TrainingJob:
    job = training_job(tmp_path, keep_checkpoints=2, copy_checkpoints=True)
    job.write()
    job.metrics.write_text('{"step": 0, "validation_loss": 1.0}\n')
    (job.folder / "spending.json").write_text("[]")
    job.middle.write_bytes(b"the middle")
    job.snapshots.mkdir()
    job.snapshot("power-0.05", 2).write_bytes(b"a snapshot")
    return job


def names(store: UPath) -> list[str]:
    return sorted(it.name for it in store.iterdir())


def copy_all(job: TrainingJob, store: UPath, *steps: int) -> list[str]:
    told: list[str] = []
    copies = CheckpointCopies(job, store, told.append)
    for step in steps:
        write_checkpoint(job, step)
        copies.look()
        copies.finish()
    return told


def test_another_machine_goes_on_from_the_newest_copy(
    tmp_path: Path, bucket: UPath, job: TrainingJob
) -> None:
    store = bucket / "copies"
    copy_all(job, store, 2, 4, 6)
    beside = ["job.json", "metrics.jsonl", "middle.safetensors", "snapshots", "spending.json"]
    assert names(store) == [*beside, "step-00000004", "step-00000006"]
    told: list[str] = []
    fetch_newest(store, tmp_path / "other", told.append)
    assert told == [f"fetching the checkpoint of step 6 from {store}"]
    assert TrainingJob.begun(tmp_path / "other") == job
    shutil.rmtree(job.checkpoints / "step-00000002")
    shutil.rmtree(job.checkpoints / "step-00000004")
    files = {path.relative_to(job.folder) for path in job.folder.rglob("*") if path.is_file()}
    assert len(files) == 8
    for file in files:
        assert (tmp_path / "other" / file).read_bytes() == (job.folder / file).read_bytes()


def test_what_is_as_new_here_is_not_fetched(bucket: UPath, job: TrainingJob) -> None:
    copy_all(job, bucket / "copies", 2)
    told: list[str] = []
    fetch_newest(bucket / "copies", job.folder, told.append)
    assert told == []


def test_nothing_is_fetched_where_nothing_was_copied(tmp_path: Path, bucket: UPath) -> None:
    fetch_newest(bucket / "copies", tmp_path, pytest.fail)
    assert newest_step(tmp_path) is None


def test_a_copy_without_its_manifest_is_none_and_a_damaged_one_is_passed_over(
    tmp_path: Path, bucket: UPath, job: TrainingJob
) -> None:
    store = bucket / "copies"
    copy_all(job, store, 2)
    for step, damage in ((4, b"another"), (6, None)):
        shutil.copytree(write_checkpoint(job, step), tmp_path / "copy" / f"{step}")
        for file in (tmp_path / "copy" / f"{step}").iterdir():
            (store / f"step-{step:08d}" / file.name).write_bytes(damage or file.read_bytes())
        if damage:
            whole = (tmp_path / "copy" / f"{step}" / "manifest.json").read_bytes()
            (store / f"step-{step:08d}" / "manifest.json").write_bytes(whole)
    (store / "step-00000006" / "manifest.json").unlink()
    told: list[str] = []
    fetch_newest(store, tmp_path / "other", told.append)
    assert newest_step(tmp_path / "other") == 2
    assert "step-00000004 is damaged and passed over: rank-00000.safetensors has" in told[1]


def test_a_manifest_cannot_name_a_file_outside_its_folder(
    tmp_path: Path, bucket: UPath, job: TrainingJob
) -> None:
    store = bucket / "copies"
    listed = {"name": "../../evil", "size": 1, "sha256": "0" * 64}
    (store / "step-00000002" / "manifest.json").write_text(json.dumps({"files": [listed]}))
    told: list[str] = []
    fetch_newest(store, tmp_path / "other", told.append)
    assert "manifest.json can't be read" in told[1]
    assert newest_step(tmp_path / "other") is None


def test_a_store_that_fails_is_told_of_once_and_asked_again(
    bucket: UPath, job: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    store = bucket / "copies"
    copies = CheckpointCopies(job, store, told.append)
    write_checkpoint(job, 2)
    with monkeypatch.context() as patch:

        def fail(path: Path, target: UPath) -> None:
            raise OSError(503, "Slow Down")

        patch.setattr(checkpoint_copies, "_put", fail)
        patch.setattr(checkpoint_copies, "AGAIN_S", 0)
        copies.finish()
        copies.finish()
    (line,) = told
    assert "could not be copied to" in line
    assert "Slow Down" in line
    assert not store.exists()
    copies.finish()
    assert "step-00000002" in names(store)


def test_a_start_does_not_copy_again_what_is_there(
    bucket: UPath, job: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = bucket / "copies"
    copy_all(job, store, 2)
    monkeypatch.setattr(checkpoint_copies, "_put", pytest.fail)
    told: list[str] = []
    CheckpointCopies(job, store, told.append).finish()
    assert told == []


def test_a_checkpoint_that_is_thinned_out_meanwhile_is_no_fault(
    bucket: UPath, job: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = checkpoint_copies._put

    def gone(path: Path, target: UPath) -> None:
        shutil.rmtree(path.parent, ignore_errors=True)
        put(path, target)

    monkeypatch.setattr(checkpoint_copies, "_put", gone)
    assert copy_all(job, bucket / "copies", 2) == []
