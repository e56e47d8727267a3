"""One rank of a training that shows clips and does nothing with them."""

import io
import os
import traceback
from multiprocessing import set_start_method
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

from benchmarks.loader.format import Format, Share


def run_rank(
    name: str,
    folder: Path,
    share: Share,
    state: Any,
    steps: int,
    after: int | None,
    pipe: Connection,
    port: int,
) -> None:
    set_start_method("fork", force=True)  # for loaders, as under a launcher
    rank, ranks = str(share.rank), str(share.ranks)
    os.environ |= {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks}
    os.environ |= {"LOCAL_WORLD_SIZE": ranks, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    try:
        pipe.send(_shown(name, folder, share, state, steps, after))
    except Exception as error:
        traceback.print_exc()
        pipe.send(f"{type(error).__name__}: {error}".splitlines()[0])


def _shown(
    name: str, folder: Path, share: Share, state: Any, steps: int, after: int | None
) -> tuple[list[list[int]], Any]:
    from importlib import import_module

    import torch

    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    kind = cast(Format, import_module(name))
    batches, tell = kind.feed(folder, share, state and loaded(state))
    taken = iter(batches)
    shown: list[list[int]] = []
    saved = None
    for step in range(steps):
        mine: list[int] = []
        while len(mine) < share.own and (batch := next(taken, None)) is not None:
            mine += batch
        shown.append(mine)
        if step + 1 == after:
            saved = tell()
    torch.distributed.barrier()
    return shown, None if saved is None else dumped(saved)


def dumped(state: Any) -> bytes:
    """As in a checkpoint: a state may hold tensors, which pipes pass on as open files."""
    import torch

    torch.save(state, file := io.BytesIO())
    return file.getvalue()


def loaded(state: bytes) -> Any:
    import torch

    return torch.load(io.BytesIO(state), weights_only=False)
