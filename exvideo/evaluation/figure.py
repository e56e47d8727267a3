"""What a figure shows: clips in rows, a row a phase, all flow on one colour scale."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from exvideo.evaluation.numbers import SampleNumbers


@dataclass(frozen=True)
class Row:
    """A clip at one phase."""

    frames: np.ndarray
    """uint8 [T, H, W, 3]."""
    flow: np.ndarray
    """float32 [T-1, 2, H, W], pixels a frame."""
    numbers: SampleNumbers


@dataclass(frozen=True)
class Block:
    """One first frame and what each phase makes of it."""

    given: np.ndarray
    """uint8 [H, W, 3]."""
    real: SampleNumbers
    """Of the held-out clip that the frame is from."""
    rows: list[Row]


def flow_scale(blocks: list[Block]) -> float:
    """`full_colour` of all rows."""
    return full_colour(row.flow for block in blocks for row in block.rows)


def full_colour(flows: Iterable[np.ndarray]) -> float:
    """The speed that gets the full colour: the 99th percentile over flows [..., 2, H, W].

    Rounded up to two digits, since people read it in the legend.
    """
    speeds = np.concatenate([np.linalg.norm(flow, axis=-3).ravel() for flow in flows])
    scale = max(float(np.percentile(speeds, 99)), 1e-3)
    digit = 10 ** (np.floor(np.log10(scale)) - 1)
    return float(np.ceil(scale / digit) * digit)


def shown_frames(num_frames: int, columns: int) -> list[int]:
    """Frame numbers from the first to the last that has a next one, evenly spread."""
    return np.linspace(0, num_frames - 2, columns).round().astype(int).tolist()


def resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 [H, W, 3] at another size, by Lanczos' filter."""
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def cell_size(frames: np.ndarray, side: int) -> tuple[int, int]:
    """Even (height, width) with the frames' aspect ratio whose longer side is `side`."""
    height, width = frames.shape[1:3]
    scale = side / max(height, width)
    return 2 * round(height * scale / 2), 2 * round(width * scale / 2)


def time_slice(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """The clip's middle column over time, uint8 [height, width, 3]: time runs to the right.

    What rests draws level lines, steady motion draws slanted ones, jitter frays them.
    """
    column = frames[:, :, frames.shape[2] // 2].transpose(1, 0, 2)
    # Frames stay apart (nearest) in time, where a filter would smooth the jitter away.
    tall = Image.fromarray(column).resize((column.shape[1], height), Image.Resampling.LANCZOS)
    return np.asarray(tall.resize((width, height), Image.Resampling.NEAREST))
