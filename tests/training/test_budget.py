"""A dry run against the same step with memory."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from exvideo.config import load_preset
from exvideo.config.base_folder import VAE_CONFIG
from exvideo.config.base_weights import folder
from exvideo.models import checkpoint_activations, trainable_parameters
from exvideo.training.budget import Budget, step_budget, step_plan
from exvideo.training.kept_regions import GIB, Region, chosen
from exvideo.training.load import load_extended_unet
from pipelines import dry_run
from tests.training.tiny import BASE, training_job

FRAMES, SIZE = 32, 128
"""Pixels; the base's VAE makes an eighth of them."""


def preset(policy: str = "none", **changes: Any):
    return load_preset(
        "tiny",
        {
            "source.height": SIZE,
            "source.width": SIZE,
            "clips.num_frames": FRAMES,
            "clips.height": SIZE,
            "clips.width": SIZE,
            "model.base": BASE.model_dump(),
            "evaluation.grid_frames": 2,
            "training.precision": "float32",
            "training.activation_checkpointing": policy,
            **changes,
        },
    )


def budget(policy: str = "none", **changes: Any) -> Budget:
    return step_budget(preset(policy, **changes))


def real_step(tmp_path: Path, policy: Any, latent_size: int, keep: Sequence[str] = ()):
    """A U-Net with memory, and one forward and backward pass of it."""
    job = training_job(tmp_path, activation_checkpointing=policy)
    unet: Any = load_extended_unet(job.model_copy(update={"num_frames": FRAMES}))
    checkpoint_activations(unet, policy, keep)
    for parameter in trainable_parameters(unet).values():
        parameter.register_post_accumulate_grad_hook(lambda it: setattr(it, "grad", None))

    def step() -> None:
        sample = torch.randn(1, FRAMES, 8, latent_size, latent_size)
        context = torch.randn(1, 1, unet.config.cross_attention_dim)
        output = unet(sample, torch.randn(1), context, torch.randn(1, 3)).sample
        output.square().mean().backward()

    return step


def latent_size() -> int:

    levels = len(json.loads((folder(BASE) / VAE_CONFIG).read_text())["block_out_channels"])
    return SIZE >> (levels - 1)


@pytest.mark.parametrize("policy", ["none", "block", "part"])
def test_the_peak_is_what_a_step_takes(tmp_path: Path, policy: str) -> None:
    """Within 10 %, by the profiler's record of what the CPU's allocator gives and takes."""
    step = real_step(tmp_path, policy, latent_size())
    step()  # what is allocated once only
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    events = profiler.profiler.kineto_results.events()
    moves = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    now = most = 0
    for _, moved in moves:
        now += moved
        most = max(most, now)
    found = budget(policy)
    assert found.kept + found.working == pytest.approx(most, rel=0.1)


@pytest.mark.parametrize("policy", ["none", "part"])
def test_the_operations_are_those_of_a_step(tmp_path: Path, policy: str) -> None:
    step = real_step(tmp_path, policy, latent_size())
    with FlopCounterMode(display=False) as flops:
        step()
    assert budget(policy).step_flops == flops.get_total_flops()


def test_regions_are_chosen_by_their_arithmetic_a_byte() -> None:
    regions = [
        Region("large", 100, 400),
        Region("dense", 10, 100),
        Region("small", 5, 10),
        Region("nothing", 0, 50),
    ]
    assert chosen(regions, 200) == ["dense", "large", "small"]
    assert chosen(regions, 20) == ["dense", "small"]
    assert chosen(regions, 9) == ["small"]


def test_what_has_room_is_kept_and_not_computed_again(tmp_path: Path) -> None:
    least, most = budget("block"), budget("none")
    room = (least.kept + most.kept) / 2 / GIB
    found = budget("block", **{"training.activation_gib": room})
    assert 0.9 * room < found.kept / GIB <= room
    assert most.step_flops < found.step_flops < least.step_flops

    size = latent_size()
    planned = preset("block", **{"training.activation_gib": room})
    plan = step_plan(folder(BASE), planned.model, planned.training, (FRAMES, size, size))
    assert plan.flops == found.step_flops
    step = real_step(tmp_path, "block", size, plan.keep)
    with FlopCounterMode(display=False) as flops:
        step()
    assert flops.get_total_flops() == plan.flops


def test_zero_shares_out_what_its_stage_says() -> None:
    plain = budget(**{"training.batch_size": 4, "training.zero_stage": 1})
    shared = {
        stage: budget(
            **{"training.batch_size": 4, "training.ranks": 4, "training.zero_stage": stage}
        )
        for stage in (1, 2, 3)
    }
    for it in shared.values():
        assert it.optimizer == plain.optimizer // 4
        assert it.averages == plain.averages // 4
    assert [shared[s].gradients for s in (1, 2, 3)] == [
        plain.trained * 4,
        plain.trained,
        plain.trained,
    ]
    assert [shared[s].weights for s in (1, 2, 3)] == [
        plain.weights,
        plain.weights,
        plain.weights // 4,
    ]


def test_every_average_is_counted() -> None:
    more = {"training.more_ema_decays": [0.9, 0.99], "training.snapshot_every": 10}
    assert budget(**more).averages == 5 * budget().averages


def test_an_offloaded_optimizer_is_the_hosts() -> None:
    here, there = budget(), budget(**{"training.offload_optimizer": True})
    assert (there.optimizer, there.averages) == (0, 0)
    assert here.peak - there.peak == here.optimizer + here.averages == there.host - here.host


@pytest.mark.parametrize("count", [2, 4])
def test_ranks_that_share_frames_keep_a_share_of_the_activations(count: int) -> None:
    """As many more frames on as many more ranks, and each rank takes as much as before."""
    alone = step_budget(load_preset("svd_128f", {"clips.num_frames": 8}))
    frames = {"clips.num_frames": 8 * count, "training.frame_ranks": count}
    shared = step_budget(load_preset("svd_128f", frames))
    assert shared.kept == pytest.approx(alone.kept, rel=0.15)
    assert shared.working == pytest.approx(alone.working, rel=0.15)


def test_the_command_says_whether_it_fits(capsys: pytest.CaptureFixture[str]) -> None:
    assert dry_run.main(["--preset", "tiny", "--gpu", "a100-40"]) == 0
    said = capsys.readouterr().out
    assert "1 x A100 40 GB, ZeRO 2" in said
    assert "of 39.4: it fits" in said
    assert "GPU-hours" in said


def test_the_command_refuses_a_base_that_is_not_at_hand(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert dry_run.main(["--preset", "tiny", "--set", "model.base.path=owner/name"]) == 2
    assert "owner/name is not known here" in capsys.readouterr().err
