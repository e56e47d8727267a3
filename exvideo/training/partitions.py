"""The optimizer's float32 tensors as slices of named parameters, however ZeRO shares them out.

DeepSpeed lays parameters end to end and cuts the line between the ranks, at each stage in another
way. This is the one place that knows how.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from exvideo.models import trainable_parameters
from exvideo.training.distributed import import_deepspeed

Engine = Any
"""`deepspeed.DeepSpeedEngine`, which has no type stubs."""

Moment = Literal["exp_avg", "exp_avg_sq"]
"""Adam's first and second moment, by torch's names."""


@dataclass(frozen=True)
class Slice:
    """The elements of a flattened parameter from `start` on that one rank holds."""

    name: str
    """The parameter's."""
    start: int
    values: Tensor
    """float32 [elements]; of a partition it is a view: writing to it writes to the partition."""


def weight_slices(engine: Engine) -> list[Slice]:
    """This rank's share of the float32 weights; together the ranks have each element once.

    At stage 0 every rank has all of them.
    """
    return [Slice(it.name, it.start, it.of(it.partition.data)) for it in _places(engine)]


def moment_slices(engine: Engine, moment: Moment) -> list[Slice]:
    """This rank's share of a moment, zero before the first step."""
    return [
        Slice(it.name, it.start, it.of(_adam_state(engine, it.partition)[moment]))
        for it in _places(engine)
    ]


def set_updates(engine: Engine, updates: int) -> None:
    """Tell Adam how many updates its moments have seen."""
    for place in _places(engine):
        _adam_state(engine, place.partition)["step"].fill_(updates)


def trained_shapes(engine: Engine) -> dict[str, torch.Size]:
    """The whole parameters' shapes, also where ZeRO-3 has left but a shard of them here."""
    return {
        name: getattr(parameter, "ds_shape", parameter.shape)
        for name, parameter in trainable_parameters(engine.module).items()
    }


def whole_tensors(engine: Engine, slices: list[Slice]) -> Iterator[tuple[str, Tensor]]:
    """One trained tensor after the other, whole, put together from all ranks' slices.

    On the ranks' device; every rank must ask, to the end.
    """
    mine = {it.name: it for it in slices}
    for name, shape in trained_shapes(engine).items():
        whole = torch.zeros(shape.numel(), device=engine.device)
        if name in mine:
            start, values = mine[name].start, mine[name].values
            whole[start : start + len(values)] = values
        if engine.zero_optimization_stage() > 0:
            torch.distributed.all_reduce(whole)
        yield name, whole.view(shape)


@torch.no_grad()
def compute_with(engine: Engine, slices: list[Slice]) -> None:
    """Set the U-Net's own weights to these, rounded to its precision; every rank must ask.

    The optimizer's float32 weights stay as they are, and set the U-Net's again at its next step.
    """
    parameters = trainable_parameters(engine.module)
    for name, whole in whole_tensors(engine, slices):
        with gathered([parameters[name]], write=True):
            parameters[name].copy_(whole)


def gathered(parameters: list[nn.Parameter], write: bool = False) -> AbstractContextManager[None]:
    """Within the block these are whole, which ZeRO-3 otherwise shards."""
    deepspeed = import_deepspeed()
    return deepspeed.zero.GatheredParameters(parameters, modifier_rank=0 if write else None)


@dataclass(frozen=True)
class _Place:
    """Where a parameter's elements lie in a tensor that the optimizer works on."""

    name: str
    start: int
    count: int
    partition: Tensor
    offset: int

    def of(self, tensor: Tensor) -> Tensor:
        """The elements' own part of the partition, or of a moment of its shape."""
        return tensor.view(-1).narrow(0, self.offset, self.count)


def _places(engine: Engine) -> Iterator[_Place]:
    parameters = trainable_parameters(engine.module)
    zero = engine.optimizer
    match engine.zero_optimization_stage():
        case 0:
            masters = engine.basic_optimizer.param_groups[0]["params"]
            for (name, _), master in zip(parameters.items(), masters, strict=True):
                yield _Place(name, 0, master.numel(), master, 0)
        case 1 | 2:
            for name, parameter in parameters.items():
                link = parameter._hp_mapping  # type: ignore[attr-defined]
                if link is not None:
                    source, own = link.lp_fragment_address, link.hp_fragment_address
                    partition = zero.single_partition_of_fp32_groups[link.param_group_index]
                    yield _Place(name, source.start, source.numel, partition, own.start)
        case _:
            rank = torch.distributed.get_rank()
            for name, parameter in parameters.items():
                group, offset, share = zero.grad_position[zero.get_param_id(parameter)]
                start = rank * share
                # The last ranks' shares end in padding, or are nothing else.
                count = min(share, parameter.ds_numel - start)  # type: ignore[attr-defined]
                if count > 0:
                    partition = zero.fp32_partitioned_groups_flat[group]
                    yield _Place(name, start, count, partition, offset)


def _adam_state(engine: Engine, partition: Tensor) -> dict[str, Tensor]:
    """The state that AdamW keeps of a partition, made as itself makes it at its first step."""
    optimizer = engine.basic_optimizer
    state = optimizer.state[partition]
    if not state:
        fused = optimizer.defaults["fused"]
        state["step"] = torch.zeros((), device=partition.device if fused else None)
        for moment in ("exp_avg", "exp_avg_sq"):
            state[moment] = torch.zeros_like(partition)
    return state
