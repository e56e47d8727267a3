"""A contact sheet of clips: a row a clip, a few frames each."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from upath import UPath

from exvideo.clips.manifest import Clip
from exvideo.clips.read import read_clip
from exvideo.clips.windows import spread
from exvideo.video.decoder import Decoder

ROWS, COLUMNS = 12, 8
CELL = 96
"""A frame's longer side on the sheet, px."""


def contact_sheet(clips: list[Clip], folder: UPath, decoder: Decoder) -> bytes:
    """PNG of at most 12 of the kept clips, evenly spread; `folder` is the source manifest's."""
    kept = [clip for clip in clips if clip.status == "kept"]
    shown = [kept[index] for index in sorted(spread(len(kept), ROWS))]
    rows = [_row(read_clip(clip, folder, decoder)) for clip in shown]
    png = io.BytesIO()
    Image.fromarray(np.concatenate(rows)).save(png, "PNG")
    return png.getvalue()


def _row(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    count, height, width, _ = frames.shape
    scale = CELL / max(height, width)
    size = (round(width * scale), round(height * scale))
    columns = np.linspace(0, count - 1, COLUMNS).round().astype(int)
    cells = [np.asarray(Image.fromarray(frames[i]).resize(size)) for i in columns]
    return np.concatenate(cells, axis=1)
