"""Checkpoints: a folder a step, a safetensors file a rank, and a manifest that comes last.

    step-00001000/
        manifest.json            position, shapes, and every file's size and SHA-256
        rank-00000.safetensors   weights/NAME, exp_avg/NAME, exp_avg_sq/NAME, ema/NAME

A file holds flat float32 slices of the trained parameters, and in its header where each starts,
so that any number of ranks reads what any other has written. The frozen base has its own file.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from upath import UPath

from exvideo.atomic_file import atomic_file
from exvideo.errors import InputError
from exvideo.receipt import write_atomically
from exvideo.sources.file_digests import sha256_of
from exvideo.training.checkpoint_files import MANIFEST, CheckpointFile, file_fault
from exvideo.training.distributed import Ranks
from exvideo.training.partitions import Slice
from exvideo.training.train_state import Position, TrainState

Answer = TypeVar("Answer")


class CheckpointManifest(BaseModel):
    """Without it a checkpoint is none: it is written last."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["exvideo.checkpoint/1"] = "exvideo.checkpoint/1"
    position: Position
    shapes: dict[str, tuple[int, ...]]
    """Of every trained parameter."""
    files: list[CheckpointFile]


class CheckpointWriter:
    """Writes checkpoints in a thread, while training goes on: it waits for the copy alone.

    The copy takes host memory of the size of a checkpoint's file, pinned where there is a GPU.
    """

    def __init__(self, folder: Path, ranks: Ranks, keep: int) -> None:
        self._folder = folder
        self._ranks = ranks
        self._keep = keep
        # Of its own, as the training's may be in use at the same time.
        self._group: Any = torch.distributed.new_group(backend="gloo")
        self._copies: dict[str, Tensor] = {}
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._begun: Future[None] | None = None

    def save(self, state: TrainState) -> None:
        """Begin a checkpoint of the state as it is now; every rank must ask.

        Raises `InputError` where the one before could not be written.
        """
        self.wait()
        folder = self._folder / checkpoint_name(state.position)
        if self._ranks.first and folder.exists():
            shutil.rmtree(folder)  # what an interrupted attempt has left
        torch.distributed.barrier()
        folder.mkdir(parents=True, exist_ok=True)
        position = state.position.model_copy(deep=True)
        manifest = CheckpointManifest(position=position, shapes=state.shapes(), files=[])
        starts = self._copy(state)
        self._begun = self._thread.submit(self._write, folder, starts, manifest)

    def wait(self) -> None:
        """Until the checkpoint that was begun last lies whole on the disk, on every rank.

        Raises `InputError` where it could not be written.
        """
        begun, self._begun = self._begun, None
        if begun is not None:
            begun.result()

    def _copy(self, state: TrainState) -> dict[str, int]:
        """Copy what this rank writes to its memory; returns where each slice starts, by its key."""
        starts: dict[str, int] = {}
        if state.replicated and not self._ranks.first:
            return starts
        for kind, slices in state.slices().items():
            for it in slices:
                key = f"{kind}/{it.name}"
                starts[key] = it.start
                if key not in self._copies:
                    self._copies[key] = torch.empty_like(
                        it.values, device="cpu", pin_memory=it.values.is_cuda
                    )
                self._copies[key].copy_(it.values, non_blocking=True)
        if self._ranks.device.type == "cuda":
            torch.cuda.synchronize()
        return starts

    def _write(self, folder: Path, starts: dict[str, int], manifest: CheckpointManifest) -> None:
        file = folder / f"rank-{self._ranks.rank:05d}.safetensors"
        files = self._together(lambda: _write_file(file, self._copies, starts))

        def conclude() -> None:
            if self._ranks.first:
                whole = manifest.model_copy(update={"files": files})
                write_atomically(UPath(folder / MANIFEST), whole.model_dump_json().encode())
                self._thin_out(folder)

        self._together(conclude)

    def _together(self, work: Callable[[], Answer]) -> list[Answer]:
        """Work on every rank; returns their answers, or raises on all what went wrong on one."""
        answer: Answer | InputError
        try:
            answer = work()
        except (OSError, SafetensorError) as error:
            answer = InputError(f"rank {self._ranks.rank} can't write its checkpoint: {error}")
        answers: list[Any] = [None] * self._ranks.count
        torch.distributed.all_gather_object(answers, answer, group=self._group)
        for it in answers:
            if isinstance(it, InputError):
                raise it
        return answers

    def _thin_out(self, newest: Path) -> None:
        folders = sorted(self._folder.glob("step-*"))
        whole = [it for it in folders if it <= newest and (it / MANIFEST).is_file()]
        # Newer ones are of steps that come again; those without a manifest never were whole.
        for stale in set(folders) - set(whole[-self._keep :]):
            shutil.rmtree(stale)


class Checkpoint:
    """A checkpoint whose files are what was written."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self._folder = folder
        self._manifest = _read_manifest(folder)

    def restore(self, state: TrainState) -> None:
        """Put the state back to what was saved, whatever ranks have saved it; every rank must."""
        with ExitStack() as stack:
            pieces: dict[str, list[_Piece]] = {}
            for file in self._manifest.files:
                opened = stack.enter_context(safe_open(self._folder / file.name, "pt"))
                for key, start in json.loads(opened.metadata()["starts"]).items():
                    pieces.setdefault(key, []).append(_Piece(start, opened.get_slice(key)))
            for kind, slices in state.slices().items():
                for it in slices:
                    _read(pieces.get(f"{kind}/{it.name}", []), it)
        state.restored(self._manifest.position)


def checkpoint_name(position: Position) -> str:
    return f"step-{position.step:08d}"


def newest_checkpoint(folder: Path, ranks: Ranks, tell: Callable[[str], None]) -> Checkpoint | None:
    """The newest whole checkpoint, None where there never was one; every rank must ask.

    One whose files are damaged is told of and passed over for the one before. The first rank
    looks, and all take its answer: a network's file system may show others another listing.

    Raises `InputError` where all of them are damaged.
    """
    answer: list[Any] = [None]
    if ranks.first:
        try:
            answer = [_newest_sound(folder, tell)]
        except InputError as error:
            answer = [error]
    torch.distributed.broadcast_object_list(answer, src=0)
    (found,) = answer
    if isinstance(found, InputError):
        raise found
    return None if found is None else Checkpoint(folder / found)


def _newest_sound(folder: Path, tell: Callable[[str], None]) -> str | None:
    faults = []
    for path in sorted(folder.glob("step-*"), reverse=True):
        if not (path / MANIFEST).is_file():
            continue  # an interrupted writer's; no training has ever stood on it
        fault = _fault(path)
        if fault is None:
            return path.name
        tell(f"the checkpoint {path} is damaged and passed over: {fault}")
        faults.append(fault)
    if faults:
        raise InputError(
            f"every checkpoint in {folder} is damaged ({'; '.join(faults)}): delete that folder "
            "to start anew"
        )
    return None


def _fault(folder: Path) -> str | None:
    """What is wrong with a checkpoint's files; every byte of them is read."""
    try:
        manifest = _read_manifest(folder)
    except ValidationError:
        return f"{MANIFEST} is not whole"
    with ThreadPoolExecutor() as pool:
        faults = pool.map(lambda file: file_fault(folder / file.name, file), manifest.files)
        return next((it for it in faults if it is not None), None)


def _read_manifest(folder: Path) -> CheckpointManifest:
    return CheckpointManifest.model_validate_json((folder / MANIFEST).read_bytes())


def _write_file(path: Path, copies: Mapping[str, Tensor], starts: dict[str, int]) -> CheckpointFile:
    tensors = {key: copies[key] for key in starts}
    with atomic_file(path) as part:
        save_file(tensors, part, {"starts": json.dumps(starts)})
        size, sha256 = part.stat().st_size, sha256_of(part)
    return CheckpointFile(name=path.name, size=size, sha256=sha256)


@dataclass(frozen=True)
class _Piece:
    start: int
    stored: Any
    """safetensors' slice: reads from the file what is indexed."""

    @property
    def end(self) -> int:
        return self.start + self.stored.get_shape()[0]


def _read(pieces: list[_Piece], wanted: Slice) -> None:
    """Fill a slice from the pieces of its tensor that it overlaps."""
    start, end = wanted.start, wanted.start + len(wanted.values)
    missing = end - start
    for piece in pieces:
        low, high = max(start, piece.start), min(end, piece.end)
        if low < high:
            values = piece.stored[low - piece.start : high - piece.start]
            wanted.values[low - start : high - start] = values
            missing -= high - low
    if missing:
        raise InputError(f"the checkpoint lacks {missing} elements of {wanted.name}")
