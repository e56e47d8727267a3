"""The clips' captions: a Parquet file beside the manifest, of which a few rows are read at a time.

Training never asks for them; within the manifest, long ones of 434,000 clips would take more
memory of every rank than all else does.
"""

import hashlib
import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from exvideo.latents.schema import CorruptRowError
from exvideo.receipt import write_atomically

ROWS = 512
"""Read and unpacked together."""

CAPTION = "caption"


def write_captions(folder: UPath, captions: Sequence[str]) -> str:
    """Write the file under its digest; returns its name."""
    content = io.BytesIO()
    pq.write_table(
        pa.table({CAPTION: pa.array(captions, pa.string())}),
        content,
        row_group_size=ROWS,
        compression="zstd",
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
    )
    name = f"captions-{hashlib.sha256(content.getvalue()).hexdigest()[:12]}.parquet"
    write_atomically(folder / name, content.getvalue())
    return name


def read_caption(path: UPath, place: int) -> str:
    """The caption at `place`. Raises `CorruptRowError` where the file holds none there."""
    with path.open("rb") as file:
        try:
            parquet = pq.ParquetFile(file, page_checksum_verification=True)
            group = parquet.read_row_group(place // ROWS, columns=[CAPTION])
            caption: str = group[CAPTION][place % ROWS].as_py()
        except (pa.ArrowException, OSError, IndexError, KeyError) as error:
            raise CorruptRowError(f"{path}, caption {place}: {error}") from error
    return caption
