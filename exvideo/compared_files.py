"""How far two files of one kind are from each other: equal bytes, or how far their numbers are."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def distance(one: Path, other: Path) -> float:
    """0 for equal bytes, else the largest relative difference of two numbers that correspond.

    Infinite where anything but numbers differs, or where files of this kind hold none.
    """
    if one.read_bytes() == other.read_bytes():
        return 0.0
    read = READERS.get(one.suffix)
    return _distance(read(one), read(other)) if read else math.inf


def _distance(one: Any, other: Any) -> float:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        if one.keys() != other.keys():
            return math.inf
        return max((_distance(one[key], other[key]) for key in one), default=0.0)
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return math.inf
        return max(map(_distance, one, other), default=0.0)
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return _of_arrays(one, other)
    if _is_number(one) and _is_number(other):
        return _of_arrays(np.array(float(one)), np.array(float(other)))
    return 0.0 if one == other else math.inf


def _of_arrays(one: np.ndarray, other: np.ndarray) -> float:
    """By the arrays' own size: an element near zero is not held against itself."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return math.inf
    first, second = one.astype(np.float64), other.astype(np.float64)
    if not np.array_equal(np.isfinite(first), np.isfinite(second)):
        return math.inf
    apart = np.abs(np.nan_to_num(first) - np.nan_to_num(second)).max(initial=0.0)
    size = np.abs(np.nan_to_num(first)).max(initial=0.0)
    return float(apart / size) if apart and size else (math.inf if apart else 0.0)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


def _json_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _parquet(path: Path) -> list[Any]:
    import pyarrow.parquet as pq

    rows: list[Any] = pq.read_table(path).to_pylist()
    return rows


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    tensors: dict[str, np.ndarray] = load_file(path)
    return tensors


def _pixels(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(picture)


READERS = {
    ".json": _json,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
    ".png": _pixels,
    ".safetensors": _safetensors,
}
