"""The loop on one rank: what it learns, writes, keeps and continues."""

import math
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from exvideo.config import ModelConfig
from exvideo.errors import InputError
from exvideo.models import extension_parameters, load_extension, load_unet, read_metadata
from exvideo.progress import Silent
from exvideo.training.distributed import Ranks
from exvideo.training.job import TrainingJob
from exvideo.training.load import load_extended_unet
from exvideo.training.metrics import read_metrics
from exvideo.training.partitions import whole_tensors
from exvideo.training.schedule import learning_rate
from exvideo.training.train import Trainer
from tests.training.tiny import BASE, NUM_FRAMES, TIMED, MadeClips, training_config, training_job


def trainer(job: TrainingJob, ranks: Ranks, clips: MadeClips | None = None) -> Trainer:
    return Trainer(
        job, ranks, load_extended_unet(job), clips or MadeClips(5), MadeClips(2, seed=9), Silent()
    )


def weights(training: Trainer) -> dict[str, torch.Tensor]:
    """The optimizer's float32 weights."""
    return {n: w.clone() for n, w in whole_tensors(training.engine, training.state.weights)}


class InterruptedAt(MadeClips):
    """Clips of which the n-th read brings a SIGTERM, as a cluster would send it."""

    def __init__(self, count: int, read: int) -> None:
        super().__init__(count)
        self.left = read

    def __getitem__(self, index: int) -> dict:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().__getitem__(index)


def newest(job: TrainingJob) -> str:
    return max(path.parent.name for path in job.checkpoints.glob("*/manifest.json"))


def comparable(path: Path) -> list[dict]:
    """Rows without what a clock or the machine decides."""
    return [{k: v for k, v in row.items() if k not in TIMED} for row in read_metrics(path)]


def test_warm_up_is_linear_and_then_constant() -> None:
    config = training_config(learning_rate=1.0, warmup_steps=4)
    assert [learning_rate(config, n) for n in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert learning_rate(training_config(learning_rate=1.0, warmup_steps=0), 0) == 1.0


def test_a_cosine_falls_to_zero_at_the_last_step() -> None:
    config = training_config(learning_rate=1.0, warmup_steps=2, steps=6, schedule="cosine")
    found = [learning_rate(config, n) for n in range(7)]
    expected = [0.5, 1.0, 1.0, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5, 0.0]
    assert found == pytest.approx(expected)


def test_the_validation_loss_of_a_learnable_set_falls(tmp_path: Path, ranks: Ranks) -> None:
    job = training_job(tmp_path, steps=24, validate_every=24, learning_rate=3e-3)
    assert trainer(job, ranks).run()
    before, after = (r["validation_loss"] for r in read_metrics(job.metrics) if "loss" not in r)
    assert after < 0.97 * before


def test_a_job_leaves_rows_snapshots_and_its_last_checkpoints(tmp_path: Path, ranks: Ranks) -> None:
    job = training_job(tmp_path)
    assert trainer(job, ranks).run()
    rows = read_metrics(job.metrics)
    assert [row["step"] for row in rows if "loss" in row] == [2, 4, 6]
    assert [row["step"] for row in rows if "validation_loss" in row] == [0, 3, 6]
    training = next(row for row in rows if "loss" in row)
    assert {
        "learning_rate",
        "grad_norm",
        "seconds_per_step",
        "clips_per_second",
        "memory_gb",
    } < set(training)
    assert training["learning_rate"] == pytest.approx(1e-3)
    kept = sorted(path.name for path in job.checkpoints.glob("step-*"))
    assert kept == ["step-00000004", "step-00000006"]
    assert (read_metadata(job.middle).step, read_metadata(job.extension).step) == (3, 6)
    metadata = load_extension(load_unet(BASE), job.extension)
    assert (metadata.num_frames, metadata.scaling_factor) == (NUM_FRAMES, 0.18215)
    assert all(tensor.dtype == torch.float32 for tensor in load_file(job.extension).values())


@pytest.mark.parametrize(
    "variant", [{"conv": "depthwise", "lora_rank": 2}, {"conv": "factorised"}], ids=str
)
def test_an_efficient_variant_trains_and_its_file_extends_a_base(
    tmp_path: Path, ranks: Ranks, variant: dict
) -> None:
    job = training_job(tmp_path, steps=2)
    job = job.model_copy(update={"model": ModelConfig(base=BASE, **variant)})
    assert trainer(job, ranks).run()
    unet = load_unet(BASE)
    load_extension(unet, job.extension)
    saved = load_file(job.extension)
    assert {k: unet.config.extension[k] for k in variant} == variant
    assert saved.keys() == extension_parameters(unet).keys()
    untrained = extension_parameters(load_extended_unet(job))
    changed = [name for name in saved if not torch.equal(saved[name], untrained[name].cpu())]
    # lora_A has no gradient before lora_B, which starts at zero, has moved.
    assert len(changed) > len(saved) / 2


@pytest.mark.parametrize(
    ("zero_stage", "precision"),
    [(0, "bfloat16"), (1, "bfloat16"), (2, "bfloat16"), (2, "float32"), (3, "bfloat16")],
)
def test_a_stopped_job_goes_on_bit_for_bit(
    tmp_path: Path, ranks: Ranks, zero_stage: int, precision: str
) -> None:
    accumulated = 2 if zero_stage > 1 else 1
    settings = {
        "zero_stage": zero_stage,
        "precision": precision,
        "steps": 5,
        "batch_size": 4,
        "micro_batch_size": 4 // accumulated,
    }
    whole = training_job(tmp_path / "whole", **settings)
    assert trainer(whole, ranks).run()
    # Four clips a step: the twelfth read lies in the third step, between two log rows.
    stopped = training_job(tmp_path / "stopped", **settings)
    assert not trainer(stopped, ranks, InterruptedAt(5, read=12)).run()
    assert newest(stopped) == "step-00000003"
    assert trainer(stopped, ranks).run()
    assert comparable(stopped.metrics) == comparable(whole.metrics)
    for one, other in [(whole.middle, stopped.middle), (whole.extension, stopped.extension)]:
        expected, found = load_file(one), load_file(other)
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_job_that_is_made_shorter_past_its_half_has_its_middle_where_it_goes_on(
    tmp_path: Path, ranks: Ranks
) -> None:
    long = training_job(tmp_path, steps=16, validate_every=16)
    assert not trainer(long, ranks, InterruptedAt(5, read=6)).run()
    stopped = int(newest(long).removeprefix("step-"))
    assert not long.middle.exists()
    short = training_job(tmp_path, steps=stopped + 1, validate_every=16)
    assert trainer(short, ranks).run()
    assert read_metadata(short.middle).step == stopped > (stopped + 2) // 2


def test_a_stop_during_validation_is_heeded_and_the_validation_comes_again(
    tmp_path: Path, ranks: Ranks
) -> None:
    job = training_job(tmp_path, steps=2)
    held_out = InterruptedAt(2, read=1)
    assert not Trainer(job, ranks, load_extended_unet(job), MadeClips(5), held_out, Silent()).run()
    assert read_metrics(job.metrics) == []
    assert trainer(job, ranks).run()
    assert [r["step"] for r in read_metrics(job.metrics) if "validation_loss" in r] == [0, 2]


def test_the_average_is_that_of_the_float32_weights(tmp_path: Path, ranks: Ranks) -> None:
    """At a decay of 0.99 a bfloat16 average would lose most of the movement."""
    job = training_job(tmp_path, ema_decay=0.99, learning_rate=1e-5, steps=3)
    training = trainer(job, ranks)
    expected = weights(training)
    average = training.state.averages["ema"]
    update = average.update

    def follow(updates: int) -> None:
        update(updates)
        for name, weight in weights(training).items():
            expected[name].lerp_(weight, 1 - 0.99)

    average.update = follow  # type: ignore[method-assign]
    assert training.run()
    saved = load_file(job.extension)
    assert all(torch.equal(saved[name], expected[name]) for name in expected)


def test_compiled_blocks_train_alike(tmp_path: Path, ranks: Ranks) -> None:
    settings = {"steps": 2, "activation_checkpointing": "block"}
    jobs = [training_job(tmp_path / str(it), compile=it, **settings) for it in (False, True)]
    for job in jobs:
        training = trainer(job, ranks)
        assert training.run()
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    plain, compiled = (read_metrics(job.metrics) for job in jobs)
    for one, other in zip(plain, compiled, strict=True):
        losses = {name: value for name, value in one.items() if "loss" in name}
        assert {name: other[name] for name in losses} == pytest.approx(losses, rel=1e-4)


def test_of_the_extension_one_part_can_be_trained_alone(tmp_path: Path, ranks: Ranks) -> None:
    job = training_job(tmp_path, steps=2, parts=["table"])
    assert trainer(job, ranks).run()
    saved = load_file(job.extension)
    start = extension_parameters(load_extended_unet(job))
    assert saved.keys() == start.keys()
    changed = {name for name in saved if not torch.equal(saved[name], start[name].cpu())}
    assert changed == {name for name in saved if ".positional_embedding." in name}


def test_training_keeps_attention_off_cudnn_and_leaves_it_its_flash_kernel(tmp_path: Path) -> None:
    load_extended_unet(training_job(tmp_path))
    assert not torch.backends.cuda.cudnn_sdp_enabled()
    assert torch.backends.cuda.flash_sdp_enabled()


def test_training_starts_from_the_base_in_full_precision(tmp_path: Path, ranks: Ranks) -> None:
    job = training_job(tmp_path)
    unet = load_extended_unet(job)
    own = {name: p.detach().clone() for name, p in unet.named_parameters() if p.requires_grad}
    started = weights(Trainer(job, ranks, unet, MadeClips(1), MadeClips(1), Silent()))
    assert all(torch.equal(started[name], own[name]) for name in own)


@pytest.mark.parametrize(
    ("zero_stage", "precision"), [(0, "bfloat16"), (2, "float32"), (2, "bfloat16")]
)
def test_a_step_with_bad_values_is_skipped_and_counted(
    tmp_path: Path, ranks: Ranks, zero_stage: int, precision: str
) -> None:
    settings = {"zero_stage": zero_stage, "precision": precision, "steps": 5, "log_every": 5}
    job = training_job(tmp_path, batch_size=1, micro_batch_size=1, **settings)
    clips = MadeClips(5)
    clips.clips[2]["latents"][0, 0, 0, 0] = math.nan
    assert trainer(job, ranks, clips).run()
    (last,) = (row for row in read_metrics(job.metrics) if "loss" in row)
    assert last["skipped_steps"] == 1
    assert math.isfinite(last["loss"])
    assert all(tensor.isfinite().all() for tensor in load_file(job.extension).values())


def test_many_bad_steps_in_a_row_end_the_job(tmp_path: Path, ranks: Ranks) -> None:
    job = training_job(tmp_path, steps=9)
    clips = MadeClips(1)
    clips.clips[0]["latents"].fill_(math.inf)
    with pytest.raises(InputError, match=r"5 steps in a row.*the batch's latents.*learning_rate"):
        trainer(job, ranks, clips).run()


def _spoil_outputs(unet: torch.nn.Module) -> None:
    unet.get_submodule("conv_out").register_forward_hook(
        lambda _module, _inputs, output: output * (math.nan if output.requires_grad else 1)
    )


def _spoil_gradients(unet: torch.nn.Module) -> None:
    def spoil(_module: torch.nn.Module, _inputs: object, output: torch.Tensor) -> None:
        if output.requires_grad:  # a validation's does not
            output.register_hook(lambda gradient: gradient * math.inf)

    unet.get_submodule("conv_out").register_forward_hook(spoil)


@pytest.mark.parametrize(
    ("spoil", "place"),
    [
        (_spoil_outputs, "first of all the output of conv_out"),
        (_spoil_gradients, "first of all the gradient of what conv_out puts out"),
    ],
)
def test_the_layer_where_bad_values_begin_is_named(
    tmp_path: Path, ranks: Ranks, spoil: Callable[[torch.nn.Module], None], place: str
) -> None:
    job = training_job(tmp_path, steps=9)
    unet = load_extended_unet(job)
    spoil(unet)
    training = Trainer(job, ranks, unet, MadeClips(5), MadeClips(2), Silent())
    with pytest.raises(InputError, match=place):
        training.run()


def test_weights_that_are_not_finite_end_the_job_at_its_first_validation(
    tmp_path: Path, ranks: Ranks
) -> None:
    job = training_job(tmp_path)
    unet = load_extended_unet(job)
    unet.get_submodule("conv_in").weight.data[0] = math.nan
    with pytest.raises(InputError, match="validation loss at step 0 is not finite"):
        Trainer(job, ranks, unet, MadeClips(5), MadeClips(2), Silent()).run()


def test_plain_float32_without_zero_is_refused(tmp_path: Path, ranks: Ranks) -> None:
    job = training_job(tmp_path)
    # A preset refuses it, too; the engine is what cannot do it.
    training = job.training.model_copy(update={"zero_stage": 0, "precision": "float32"})
    with pytest.raises(InputError, match="zero_stage"):
        trainer(job.model_copy(update={"training": training}), ranks)
