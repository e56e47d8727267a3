"""Whether the ranks of several nodes see one and the same folder."""

import socket
import time
import uuid
from pathlib import Path

import torch

from exvideo.errors import InputError
from exvideo.training.distributed import Ranks

PATIENCE_S = 30.0
"""A network's file system may show others a new file only after a while."""


def check_shared(folder: Path, ranks: Ranks, patience_s: float = PATIENCE_S) -> None:
    """Let every rank find a file that the first one has just written; every rank must ask.

    Checkpoints of ranks that write to folders of their own, by the same name, would never be whole.

    Raises `InputError` on every rank, naming the nodes that see another folder.
    """
    tokens = [f".seen-by-all-{uuid.uuid4().hex}" if ranks.first else ""]
    torch.distributed.broadcast_object_list(tokens, src=0)
    token = folder / tokens[0]
    if ranks.first:
        folder.mkdir(parents=True, exist_ok=True)
        token.touch()
    deadline = time.monotonic() + patience_s
    while not (seen := token.exists()) and time.monotonic() < deadline:
        time.sleep(0.1)
    blind: list[str | None] = [None] * ranks.count
    torch.distributed.all_gather_object(blind, None if seen else socket.gethostname())
    if ranks.first:
        token.unlink()
    if names := sorted({it for it in blind if it is not None}):
        raise InputError(
            f"{', '.join(names)} can't see what the first node writes to {folder}: set "
            "storage.scratch to a folder that all nodes share"
        )
