"""What a finished stage leaves behind: where its output lies, what it came from and its digest."""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from upath import UPath

from exvideo.atomic_file import atomic_file, is_local
from exvideo.config import Preset, data_root

Figure = bool | int | float | str


class Receipt(BaseModel):
    """Written last, so a stage that has one is complete."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: str
    key: str
    """Digest of everything that the output depends on: equal keys, equal outputs."""
    folder: str
    """The output's folder, relative to the stage's."""
    inputs: dict[str, str] = {}
    """Digests of the outputs that it was made from, by stage; empty in receipts of before."""
    digest: str
    """Digest of the output itself."""
    files: dict[str, str]
    """Names of the output's files, relative to the folder."""
    figures: dict[str, Figure]
    """What people want to see of it, units in the name."""
    seconds: float
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))


def stage_folder(preset: Preset, stage: str) -> UPath:
    """Where a stage of this preset keeps its receipt and its outputs."""
    return UPath(data_root(preset)) / preset.name / stage


def part_of(stage: str, part: str) -> str:
    """What a stage that runs for one part of its preset is called: it has a folder of its own."""
    return f"{stage}/{digest_of(part)[:12]}"


def write_receipt(folder: UPath, receipt: Receipt) -> None:
    """Write `receipt.json`, replacing the last one at once where the storage can."""
    write_atomically(folder / "receipt.json", receipt.model_dump_json(indent=2).encode())


def read_receipt(folder: UPath) -> Receipt | None:
    """A stage's last receipt, or one output's own; None where it has not finished yet."""
    path = folder / "receipt.json"
    if not path.exists():
        return None
    return Receipt.model_validate_json(path.read_bytes())


def digest_of(document: Any) -> str:
    """SHA-256 over canonical JSON: equal documents, equal digests."""
    return hashlib.sha256(_canonical(document)).hexdigest()


def digest_of_all(documents: Iterable[Any]) -> str:
    """`digest_of` the list of them, of which one at a time is in memory."""
    digest = hashlib.sha256(b"[")
    for place, document in enumerate(documents):
        digest.update(b"," * bool(place) + _canonical(document))
    digest.update(b"]")
    return digest.hexdigest()


def _canonical(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), default=str).encode()


def write_atomically(path: UPath, content: bytes) -> None:
    """Write a small file so that a reader sees the old content or the new, never a part.

    However many write it at once, and wherever the power goes: the last one to end wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not is_local(path):
        path.write_bytes(content)  # object stores publish a whole object or nothing
        return
    with atomic_file(Path(str(path))) as part:
        part.write_bytes(content)
