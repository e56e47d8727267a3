"""Which of the preset's sizes a picture's clips may get."""

import math
from collections.abc import Sequence

from exvideo.config import ClipShape
from exvideo.video.crop import Crop


def of_nearest_aspect(shapes: Sequence[ClipShape], picture: Crop) -> list[ClipShape]:
    """Those whose aspect is nearest to the picture's, the largest first.

    All of one aspect, so that one crop does for each: they differ in scale and in frames.
    """
    if not (picture.height and picture.width):
        return [shapes[0]]

    def distance(shape: ClipShape) -> float:
        # Twice too wide is as far away as half as wide.
        return abs(math.log(shape.height * picture.width / (shape.width * picture.height)))

    nearest = min(shapes, key=distance)
    alike = [it for it in shapes if it.height * nearest.width == nearest.height * it.width]
    return sorted(alike, key=lambda it: (-it.num_frames * it.height * it.width, -it.num_frames))
