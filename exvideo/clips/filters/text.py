"""Text that somebody put over the picture: a watermark, a subtitle, a caption."""

from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from exvideo.clips.filters.filter import Filter
from exvideo.clips.filters.footage import Footage

if TYPE_CHECKING:
    from rapidocr import RapidOCR

SIDE = 512
"""The longer side that frames are read at, px."""

PLACES = (0.2, 0.5, 0.8)
"""Of the clip's length, where frames are read."""

CONFIDENCE, LETTERS = 0.8, 3
"""What is read with less confidence, or is shorter, may as well be a fence."""


def text(footage: Footage) -> float:
    """Share of the frame that legible text covers, the median of three frames.

    A watermark stands in all three; a sign that passes by may stand in one.
    """
    last = len(footage.frames) - 1
    return float(np.median([_covered(footage.frames[round(place * last)]) for place in PLACES]))


def _covered(frame: NDArray[np.uint8]) -> float:
    scale = SIDE / max(frame.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    bgr = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=how)[..., ::-1]
    found = _reader()(np.ascontiguousarray(bgr))
    boxes, texts, scores = (getattr(found, name, None) for name in ("boxes", "txts", "scores"))
    if boxes is None or texts is None or scores is None:
        return 0.0
    areas = [
        cv2.contourArea(np.asarray(box, np.float32))
        for box, said, score in zip(boxes, texts, scores, strict=True)
        if score >= CONFIDENCE and len(said.strip()) >= LETTERS
    ]
    return sum(areas) / (bgr.shape[0] * bgr.shape[1])


@cache
def _reader() -> "RapidOCR":
    """PP-OCR's small models, whose weights lie in rapidocr's wheel."""
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "error",
            "Global.use_cls": False,  # it would turn what stands on its head
            "Det.limit_type": "max",
            "Det.limit_side_len": SIDE,
            # Parallel work is a matter of whole clips.
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


FILTER = Filter("text", "text", text, "at most", 0.005)
