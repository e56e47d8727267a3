"""What a filter is."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from exvideo.clips.filters.footage import Footage


@dataclass(frozen=True)
class Filter:
    """A score of a clip, and which side of a threshold is good."""

    name: str
    """Of the score: its key in the manifest and below `clips.filters` in a preset."""
    fault: str
    """What a clip is on the wrong side, such as `still`: the kind of its reason."""
    score: Callable[[Footage], float]
    """Pure. NaN where the clip doesn't have the property, which is never held against it."""
    keeps: Literal["at least", "at most"]
    threshold: float
    """The default; a preset may set another, or null to only record the score."""
    version: int = 1
    """Raised by hand when the same frames give another score: clips are scored anew."""

    def passes(self, score: float, threshold: float) -> bool:
        """Whether a clip of this score is good."""
        if math.isnan(score):
            return True
        return score >= threshold if self.keeps == "at least" else score <= threshold

    def reason(self, score: float, threshold: float) -> str:
        """Why a clip of this score is rejected."""
        side = "below" if self.keeps == "at least" else "above"
        return f"{self.fault}: {self.name} {score:.4g} is {side} {threshold:g}"
