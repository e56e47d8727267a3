"""Hold scores against thresholds. Nothing is decoded or scored here."""

import math
from collections.abc import Mapping, Sequence

from exvideo.clips.filters.filter import Filter
from exvideo.clips.manifest import Clip

Thresholds = Mapping[str, float | None]


def thresholds(filters: Sequence[Filter], said: Thresholds) -> dict[str, float | None]:
    """Every filter's threshold: the preset's, else its default; None where none is to apply."""
    return {found.name: said.get(found.name, found.threshold) for found in filters}


def judged(clip: Clip, filters: Sequence[Filter], applied: Thresholds) -> Clip:
    """The clip, rejected by the first filter that it does not pass."""
    if clip.status == "rejected":
        return clip
    for found in filters:
        threshold = applied[found.name]
        score = clip.scores.get(found.name, math.nan)
        if threshold is not None and not found.passes(score, threshold):
            return clip.rejected(found.reason(score, threshold))
    return clip
