"""What the filters and the model's conditioning need to know of a clip's pixels."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from exvideo.clips.filters.filter import Filter
from exvideo.clips.filters.footage import Footage
from exvideo.clips.manifest import Clip
from exvideo.clips.signature import signature
from exvideo.world import motion_bucket_id


def scored(clip: Clip, frames: NDArray[np.uint8], filters: Sequence[Filter]) -> Clip:
    """The clip with every filter's score; `frames` are the clip's, uint8 [T,H,W,3].

    A filter that does not apply to the clip leaves no score.
    """
    footage = Footage(frames, clip.fps or 0.0)
    scores = {found.name: _score(found, footage, clip) for found in filters}
    speed = footage.flow.speed
    return clip.model_copy(
        update={
            "motion_score": scores["motion"],
            "contrast": scores["contrast"],
            "flow_speed": speed,
            "motion_bucket_id": motion_bucket_id(speed, min(clip.height, clip.width)),
            "scores": {name: value for name, value in scores.items() if not math.isnan(value)},
            "signature": signature(footage),
        }
    )


def _score(found: Filter, footage: Footage, clip: Clip) -> float:
    try:
        return float(found.score(footage))
    except Exception as error:
        place = f"clip {clip.clip_id} of {clip.pieces[0].path}"
        raise RuntimeError(f"the filter {found.name} fails on {place}: {error}") from error
