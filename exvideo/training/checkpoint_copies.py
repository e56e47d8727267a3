"""Copies of checkpoints in a folder or a bucket, for the day that the machine is gone."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from upath import UPath

from exvideo.atomic_file import atomic_file
from exvideo.receipt import write_atomically
from exvideo.training.checkpoint_files import (
    MANIFEST,
    file_fault,
    listed_files,
    whole_checkpoints,
)
from exvideo.training.job import TrainingJob, newest_step

JOB, METRICS, SPENDING = "job.json", "metrics.jsonl", "spending.json"

AGAIN_S = 60.0
"""After a copy that failed."""

Tell = Callable[[str], None]


class CheckpointCopies:
    """Copies a job's newest checkpoint in a thread, whenever there is a newer one.

    A copy that fails is told of and tried again with the next look: training goes on meanwhile.
    """

    def __init__(self, job: TrainingJob, store: UPath, tell: Tell) -> None:
        self._job = job
        self._store = store
        self._tell = tell
        self._thread = ThreadPoolExecutor(1, "checkpoint-copy")
        self._begun: Future[None] | None = None
        self._copied: str | None = None
        self._told: str | None = None
        self._not_before = 0.0

    def look(self) -> None:
        """Begin a copy if there is something to copy and nothing under way."""
        if self._begun is not None:
            if not self._begun.done():
                return
            self._settle(self._begun)
        if time.monotonic() < self._not_before:
            return
        newest = max(whole_checkpoints(self._job.checkpoints), default=None)
        if newest is not None and newest.name != self._copied:
            self._begun = self._thread.submit(self._copy, newest)

    def finish(self) -> None:
        """Copy what is left, and wait for it."""
        if self._begun is not None:
            self._settle(self._begun)
        self._not_before = 0.0
        self.look()
        if self._begun is not None:
            self._settle(self._begun)

    def _settle(self, begun: Future[None]) -> None:
        self._begun = None
        try:
            begun.result()
        except OSError as error:
            fault = f"a checkpoint could not be copied to {self._store}: {error}"
            if fault != self._told:
                self._tell(f"{fault}; training goes on, and so will the copies")
            self._told = fault
            self._not_before = time.monotonic() + AGAIN_S

    def _copy(self, checkpoint: Path) -> None:
        target = self._store / checkpoint.name
        try:
            manifest = (checkpoint / MANIFEST).read_bytes()
            if (target / MANIFEST).exists() and (target / MANIFEST).read_bytes() == manifest:
                self._copied = checkpoint.name
                return
            for file in listed_files(manifest):
                _put(checkpoint / file.name, target / file.name)
        except FileNotFoundError:
            if checkpoint.exists():
                raise
            return  # the training has thinned it out meanwhile: a newer one is there
        self._copy_beside()
        write_atomically(target / MANIFEST, manifest)
        self._copied = checkpoint.name
        self._thin_out()

    def _copy_beside(self) -> None:
        """What the training has left besides: it will not come again."""
        for path in (self._job.middle, *self._job.snapshots.glob("*.safetensors")):
            name = path.relative_to(self._job.folder).as_posix()
            if path.is_file() and not (self._store / name).exists():
                _put(path, self._store / name)
        for name in (METRICS, SPENDING, JOB):
            if (self._job.folder / name).exists():
                write_atomically(self._store / name, (self._job.folder / name).read_bytes())

    def _thin_out(self) -> None:
        folders = sorted(it for it in self._store.iterdir() if it.name.startswith("step-"))
        for stale in folders[: -self._job.training.keep_checkpoints]:
            stale.fs.rm(stale.path, recursive=True)


def fetch_newest(store: UPath, folder: Path, tell: Tell) -> None:
    """Bring a store's newest sound checkpoint to a job's folder, if that has none as new.

    With it comes what the training had left besides. Its job comes last, without which none has
    begun there.
    """
    if not store.exists():
        return
    here = newest_step(folder)
    for copy in sorted(store.iterdir(), key=lambda it: it.name, reverse=True):
        if not (copy / MANIFEST).exists():
            continue
        step = int(copy.name.removeprefix("step-"))
        if here is not None and here >= step:
            return
        tell(f"fetching the checkpoint of step {step} from {store}")
        fault = _fetch(copy, folder / "checkpoints" / copy.name)
        if fault is None:
            _fetch_beside(store, folder)
            return
        tell(f"the copy {copy} is damaged and passed over: {fault}")


def _fetch(copy: UPath, target: Path) -> str | None:
    """Fetch a checkpoint, its manifest last; returns what is wrong with it."""
    manifest = (copy / MANIFEST).read_bytes()
    try:
        files = listed_files(manifest)
    except ValueError as error:
        return f"its {MANIFEST} can't be read: {error}"
    target.mkdir(parents=True, exist_ok=True)
    for file in files:
        try:
            copy.fs.get_file((copy / file.name).path, str(target / file.name))
        except FileNotFoundError:
            return f"{file.name} is missing"
        if fault := file_fault(target / file.name, file):
            return fault
    write_atomically(UPath(target / MANIFEST), manifest)
    return None


def _fetch_beside(store: UPath, folder: Path) -> None:
    for copy in (*store.glob("middle.safetensors"), *store.glob("snapshots/*.safetensors")):
        target = folder / copy.relative_to(store).as_posix()
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(target) as part:
                copy.fs.get_file(copy.path, str(part))
    for name in (METRICS, SPENDING, JOB):
        if (store / name).exists():
            write_atomically(UPath(folder / name), (store / name).read_bytes())


def _put(path: Path, target: UPath) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.fs.put_file(str(path), target.path)
