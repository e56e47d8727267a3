"""Decoders need files: fetch what lies elsewhere."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from upath import UPath


@contextmanager
def local_copy(path: UPath) -> Iterator[Path]:
    """The file itself where it is local, else a copy for the length of the block.

    Raises `FileNotFoundError` where there is none.
    """
    if not path.exists():
        raise FileNotFoundError(str(path))
    if path.protocol in ("", "file", "local"):
        yield Path(path.path)
        return
    with tempfile.NamedTemporaryFile(suffix=path.suffix) as copy, path.open("rb") as original:
        shutil.copyfileobj(original, copy)
        copy.flush()
        yield Path(copy.name)
