"""What a checkpoint restores, under which damage, and when it counts as one."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from exvideo.errors import InputError
from exvideo.training import checkpoints
from exvideo.training.distributed import Ranks
from exvideo.training.job import TrainingJob
from exvideo.training.load import load_extended_unet
from exvideo.training.metrics import read_metrics
from exvideo.training.train import Trainer
from exvideo.training.train_state import Position, TrainState
from tests.told import Told
from tests.training.tiny import MadeClips, training_job

STEPS = 4


def trainer(job: TrainingJob, ranks: Ranks, told: Told | None = None) -> Trainer:
    unet = load_extended_unet(job)
    return Trainer(job, ranks, unet, MadeClips(5), MadeClips(2, seed=9), told or Told())


def tensors(state: TrainState) -> dict[str, torch.Tensor]:
    return {
        f"{kind}/{it.name}": it.values.clone()
        for kind, slices in state.slices().items()
        for it in slices
    }


def losses(job: TrainingJob) -> dict[str, float]:
    return {
        f"{name} at {row['step']}": row[name]
        for row in read_metrics(job.metrics)
        for name in row
        if "loss" in name
    }


def longer(job: TrainingJob, steps: int, **changes: object) -> TrainingJob:
    training = job.training.model_copy(update={"steps": steps, **changes})
    return job.model_copy(update={"training": training})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, ranks: Ranks) -> TrainingJob:
    """A job of four steps at its end, with the checkpoints of steps 2 and 4."""
    job = training_job(tmp_path_factory.mktemp("trained"), steps=STEPS, checkpoint_every=2)
    assert trainer(job, ranks).run()
    return job


@pytest.fixture
def copied(tmp_path: Path, trained: TrainingJob) -> TrainingJob:
    """The same job, to spoil."""
    shutil.copytree(trained.folder, tmp_path / "job")
    return trained.model_copy(update={"folder": tmp_path / "job"})


@pytest.fixture(scope="module")
def continued(
    tmp_path_factory: pytest.TempPathFactory, ranks: Ranks, trained: TrainingJob
) -> dict[str, torch.Tensor]:
    """All of the state two steps later."""
    folder = tmp_path_factory.mktemp("continued") / "job"
    shutil.copytree(trained.folder, folder)
    training = trainer(longer(trained.model_copy(update={"folder": folder}), 6), ranks)
    assert training.run()
    return tensors(training.state)


def test_more_steps_continue_a_finished_training(
    tmp_path: Path, ranks: Ranks, continued: dict[str, torch.Tensor]
) -> None:
    whole = trainer(training_job(tmp_path, steps=6, checkpoint_every=2), ranks)
    assert whole.run()
    expected = tensors(whole.state)
    assert expected.keys() == continued.keys()
    assert all(torch.equal(expected[key], continued[key]) for key in expected)


def test_fewer_steps_than_were_made_are_refused(ranks: Ranks, copied: TrainingJob) -> None:
    with pytest.raises(InputError, match=r"stands at step 4 already, training\.steps asks for 3"):
        trainer(longer(copied, 3), ranks)


@pytest.mark.parametrize(
    "change", [{"zero_stage": 1}, {"zero_stage": 3}, {"offload_optimizer": True}]
)
def test_another_zero_stage_goes_on(
    tmp_path: Path, ranks: Ranks, copied: TrainingJob, change: dict[str, Any]
) -> None:
    """Losses within 1e-5: Adam makes of the rounding of a gradient near zero a step of its own."""
    whole = training_job(tmp_path / "whole", steps=6, checkpoint_every=2)
    assert trainer(whole, ranks).run()
    changed = longer(copied, 6, **change)
    training = trainer(changed, ranks)
    assert training.position.step == STEPS
    assert training.run()
    expected, found = losses(whole), losses(changed)
    assert {"loss at 6", "validation_loss at 6", "validation_loss_raw at 6"} < expected.keys()
    # What has once been the last step was validated, too.
    assert {it: found[it] for it in expected} == pytest.approx(expected, rel=1e-5)


def test_checkpoints_of_zero_3_are_read_without_it(tmp_path: Path, ranks: Ranks) -> None:
    job = training_job(tmp_path, steps=2, zero_stage=3)
    first = trainer(job, ranks)
    assert first.run()
    read = tensors(trainer(longer(job, 3, zero_stage=2), ranks).state)
    assert all(torch.equal(read[key], values) for key, values in tensors(first.state).items())


def _forget_step(training: Trainer) -> None:
    training.state.position = Position()


def _forget_count(training: Trainer) -> None:
    training.state.restored(training.position.model_copy(update={"skipped": STEPS}))


def _forget(kind: str) -> Callable[[Trainer], None]:
    def forget(training: Trainer) -> None:
        for it in training.state.slices()[kind]:
            it.values.mul_(0.9)

    return forget


@pytest.mark.parametrize(
    "forget",
    [*map(_forget, ("weights", "exp_avg", "exp_avg_sq", "ema")), _forget_step, _forget_count],
    ids=["weights", "exp_avg", "exp_avg_sq", "ema", "position", "updates"],
)
def test_no_restored_part_is_idle(
    ranks: Ranks,
    copied: TrainingJob,
    continued: dict[str, torch.Tensor],
    forget: Callable[[Trainer], None],
) -> None:
    training = trainer(longer(copied, 6), ranks)
    forget(training)
    assert training.run()
    found = tensors(training.state)
    assert any(not torch.equal(found[key], values) for key, values in continued.items())


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("rank-00000.safetensors", _cut),
        ("rank-00000.safetensors", _flip),
        ("rank-00000.safetensors", Path.unlink),
        ("manifest.json", _cut),
    ],
)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    ranks: Ranks, copied: TrainingJob, file: str, damage: Callable[[Path], None]
) -> None:
    damaged = copied.checkpoints / "step-00000004" / file
    damage(damaged)
    told = Told()
    assert trainer(copied, ranks, told).position.step == 2
    (line,) = (it for it in told.said if "damaged" in it)
    assert str(damaged.parent) in line
    assert file in line


def test_a_checkpoint_without_its_manifest_was_never_one(ranks: Ranks, copied: TrainingJob) -> None:
    (copied.checkpoints / "step-00000004" / "manifest.json").unlink()
    told = Told()
    assert trainer(copied, ranks, told).position.step == 2
    assert [it for it in told.said if "damaged" in it] == []


def test_damaged_checkpoints_alone_are_no_reason_to_start_anew(
    ranks: Ranks, copied: TrainingJob
) -> None:
    for path in copied.checkpoints.glob("*/rank-*"):
        _cut(path)
    with pytest.raises(InputError, match=r"every checkpoint in .*checkpoints is damaged"):
        trainer(copied, ranks)


def test_training_waits_for_the_copy_alone(
    tmp_path: Path, ranks: Ranks, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()
    write = checkpoints._write_file

    def slowly(*arguments: object) -> object:
        assert let_go.wait(60)
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoints, "_write_file", slowly)
    job = training_job(tmp_path)
    training = trainer(job, ranks)
    before = tensors(training.state)
    training.checkpoints.save(training.state)
    for slices in training.state.slices().values():
        for it in slices:
            it.values.add_(1.0)
    assert list(job.checkpoints.glob("*/manifest.json")) == []
    let_go.set()
    training.checkpoints.wait()
    written = load_file(job.checkpoints / "step-00000000" / "rank-00000.safetensors")
    assert all(torch.equal(written[key], values) for key, values in before.items())


def test_a_full_disk_ends_the_job_and_leaves_the_checkpoint_before(
    ranks: Ranks, copied: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(InputError, match=r"rank 0 can't write its checkpoint.*No space left"):
        trainer(longer(copied, 8), ranks).run()
    monkeypatch.undo()
    assert trainer(longer(copied, 8), ranks).position.step == STEPS


def test_of_many_the_last_ones_are_kept_and_no_half_written_one(
    ranks: Ranks, copied: TrainingJob
) -> None:
    half = copied.checkpoints / "step-00000005"
    shutil.copytree(copied.checkpoints / "step-00000004", half)
    (half / "manifest.json").unlink()
    assert trainer(longer(copied, 8), ranks).run()
    kept = sorted(path.name for path in copied.checkpoints.iterdir())
    assert kept == ["step-00000006", "step-00000008"]
