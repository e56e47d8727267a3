"""FastVideo's layout and order: tensors as float32 bytes with shape and dtype, 64 clips a file and
a row group (its default), zstd; its permutation, dealt to the ranks, under torchdata's loader.

https://github.com/hao-ai-lab/FastVideo at 2f3d407, fastvideo/dataset
"""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torchdata.stateful_dataloader import StatefulDataLoader

from benchmarks.loader.clips import NoiseClips
from benchmarks.loader.format import WORKERS, Feed, Place, Reader, Share

NAME = "FastVideo's Parquet"
REMOTE = ""
RESUMES = True
ROWS = 64
"""Its `samples_per_file`."""

TENSORS = {
    "vae_latent": "latents",
    "clip_feature": "image_embeds",
    "first_frame_latent": "cond_latents",
}
"""Its names and ours."""


def write(folder: Path, clips: NoiseClips) -> None:
    rows: list[dict[str, Any]] = []
    for clip in clips:
        row: dict[str, Any] = {"id": str(clip.number), "pil_image_bytes": clip.first_frame}
        for name, ours in TENSORS.items():
            tensor = getattr(clip, ours).astype(np.float32)
            row |= {f"{name}_bytes": tensor.tobytes(), f"{name}_shape": tensor.shape}
            row[f"{name}_dtype"] = "float32"
        row |= {"caption": "", "width": 512, "height": 512, "num_frames": 128, "fps": 24.0}
        rows.append(row)
        if len(rows) == ROWS or clip.number == len(clips) - 1:
            file = folder / f"data_chunk_{clip.number // ROWS}.parquet"
            pq.write_table(pa.Table.from_pylist(rows), file, compression="zstd")
            rows.clear()


class _Rows:
    """Row by row, as its map-style data set: the file opened, its row group read."""

    def __init__(self, folder: Path, columns: list[str] | None = None) -> None:
        self._columns = columns
        self._files = sorted(folder.glob("*.parquet"))
        self._ends = list(accumulate(pq.ParquetFile(it).metadata.num_rows for it in self._files))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, number: int) -> dict[str, Any]:
        file = bisect_right(self._ends, number)
        row = number - (self._ends[file - 1] if file else 0)
        group = pq.ParquetFile(self._files[file]).read_row_group(0, columns=self._columns)
        return {name: values[row] for name, values in group.to_pydict().items()}


def _tensors(row: dict[str, Any]) -> dict[str, np.ndarray]:
    return {
        name: np.frombuffer(row[f"{name}_bytes"], np.float32).reshape(row[f"{name}_shape"]).copy()
        for name in TENSORS
    }


def _row(place: Place) -> Reader:
    rows = _Rows(Path(place.url))
    return lambda number: _tensors(rows[number])["vae_latent"]


READERS = {"a row group, map style": _row}


def scan(place: Place) -> Iterator[np.ndarray]:
    """As its iterable style: 32 rows at once."""
    for path in sorted(Path(place.url).glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(batch_size=32):
            yield from (_tensors(row)["vae_latent"] for row in batch.to_pylist())


def feed(folder: Path, share: Share, state: Any) -> Feed:
    """Ids alone are read: 64 clips a step would take minutes, and change no order."""
    rows = _Rows(folder, ["id"])
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(42))
    mine = order[: len(rows) // share.clips * share.clips][share.rank :: share.ranks].tolist()
    loader: StatefulDataLoader = StatefulDataLoader(
        rows,
        batch_sampler=[mine[at : at + share.own] for at in range(0, len(mine), share.own)],
        collate_fn=_ids,
        num_workers=WORKERS,
        persistent_workers=True,
    )
    if state is not None:
        loader.load_state_dict(state)
    return loader, loader.state_dict


def _ids(rows: list[dict[str, Any]]) -> list[int]:
    return [int(row["id"]) for row in rows]


def states(saved: list[Any], ranks: int, folder: Path) -> list[Any]:
    return [saved[0]] * ranks
