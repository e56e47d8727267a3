"""Who sees which sample when: no rank's number, worker or resumption changes it."""

import dataclasses
import signal
from itertools import islice

import psutil
import torch

from exvideo.training.distributed import Ranks
from exvideo.training.samples import sample_indices, training_batches
from tests.training.tiny import MadeClips, training_config

CPU = torch.device("cpu")


def step_indices(ranks: int, micro_batch_size: int, first_step: int = 0) -> list[set]:
    """The samples of each step of 8, over all ranks and micro-batches."""
    config = training_config(steps=5, batch_size=8, ranks=ranks, micro_batch_size=micro_batch_size)
    accumulate = config.accumulate
    shares = [list(sample_indices(config, Ranks(r, ranks, CPU), first_step)) for r in range(ranks)]
    steps = range(len(shares[0]) // accumulate)
    return [
        {
            index
            for share in shares
            for micro_batch in share[step * accumulate : (step + 1) * accumulate]
            for index in micro_batch
        }
        for step in steps
    ]


def test_a_step_has_the_same_samples_however_its_batch_is_shared_out() -> None:
    expected = [set(range(8 * step, 8 * step + 8)) for step in range(5)]
    for ranks, micro_batch_size in [(1, 8), (4, 2), (2, 2), (1, 1)]:
        assert step_indices(ranks, micro_batch_size) == expected


def test_a_resumed_job_takes_up_the_sequence_where_it_was() -> None:
    assert step_indices(2, 2, first_step=3) == step_indices(2, 2)[3:]


def test_loader_workers_change_nothing_and_outlive_a_stop() -> None:
    rank = Ranks(0, 1, CPU)
    alone = list(training_batches(MadeClips(5), training_config(), rank, 0))
    before = set(psutil.Process().children())
    helped = training_batches(MadeClips(5), training_config(loader_workers=2), rank, 0)
    first = list(islice(helped, 2))
    workers = [it for it in set(psutil.Process().children()) - before if it.is_running()]
    assert len(workers) >= 2
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    found = [*first, *helped]
    assert len(found) == len(alone)
    for one, other in zip(alone, found, strict=True):
        for field in dataclasses.fields(one):
            assert torch.equal(getattr(one, field.name), getattr(other, field.name))


def test_ranks_that_share_a_clip_have_its_frames_between_them() -> None:
    config = training_config(ranks=2, frame_ranks=2, micro_batch_size=1)
    alone = next(training_batches(MadeClips(5), config, Ranks(0, 1, CPU), 0))
    parts = [next(training_batches(MadeClips(5), config, Ranks(r, 2, CPU, 2), 0)) for r in (0, 1)]
    for name in ("latents", "noise"):
        whole = torch.cat([getattr(part, name) for part in parts], dim=1)
        assert torch.equal(whole, getattr(alone, name))
    for part in parts:
        assert part.latents.shape[1] == alone.latents.shape[1] // 2
        assert torch.equal(part.sigma, alone.sigma)
