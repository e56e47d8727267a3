"""Checkpoints of a job: written by all ranks, named by step, the newest one known by `latest`."""

import shutil
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from safetensors.torch import load_file, save_file

from exvideo.errors import InputError
from exvideo.training.average import AveragedWeights
from exvideo.training.distributed import Ranks
from exvideo.training.engine import Engine

POSITION = "position.json"
AVERAGE = "average.safetensors"


class Position(BaseModel):
    """Where a training stands. Data and noise are functions of it: nothing else has state."""

    model_config = ConfigDict(extra="forbid")

    step: int = 0
    """Steps done, skipped ones included."""
    skipped: int = 0
    """Of them, those whose loss or gradients were not finite."""
    skipped_in_a_row: int = 0
    losses: list[float] = []
    """Of the applied steps since the last logged row."""
    ranks: int


def checkpoint_name(position: Position) -> str:
    return f"step-{position.step:08d}"


def newest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint that `latest` names; a half-written one is never named."""
    latest = folder / "latest"
    return folder / latest.read_text().strip() if latest.is_file() else None


def save_checkpoint(
    folder: Path,
    engine: Engine,
    average: AveragedWeights,
    position: Position,
    ranks: Ranks,
    keep: int,
) -> None:
    """Write a checkpoint, make it the newest and delete all but `keep`; every rank must ask.

    The frozen base is not in it: it has its own file.
    """
    name = checkpoint_name(position)
    engine.save_checkpoint(str(folder), tag=name, save_latest=False, exclude_frozen_parameters=True)
    gathered = average.gather()
    if ranks.first:
        save_file(gathered, folder / name / AVERAGE)
        (folder / name / POSITION).write_text(position.model_dump_json())
        part = folder / "latest.part"
        part.write_text(name)
        part.replace(folder / "latest")
        # Newer ones are what an interruption left of a save; their steps come again.
        older = sorted(path for path in folder.glob("step-*") if path.name <= name)
        for stale in set(folder.glob("step-*")) - set(older[-keep:]):
            shutil.rmtree(stale)
    torch.distributed.barrier()


def load_checkpoint(
    folder: Path, engine: Engine, average: AveragedWeights, ranks: Ranks
) -> Position:
    """Continue from the newest checkpoint, or start where there is none."""
    checkpoint = newest_checkpoint(folder)
    if checkpoint is None:
        return Position(ranks=ranks.count)
    position = Position.model_validate_json((checkpoint / POSITION).read_bytes())
    if position.ranks != ranks.count:
        raise InputError(
            f"{checkpoint} was written by {position.ranks} ranks, this job has {ranks.count}: "
            f"run it on as many, or delete {folder} to start anew"
        )
    engine.load_checkpoint(str(folder), tag=checkpoint.name, load_module_strict=False)
    average.scatter(load_file(checkpoint / AVERAGE))
    return position
