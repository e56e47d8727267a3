"""Which filters there are: the project's own, and those that installed packages offer.

Nothing is loaded here, so that presets are checked fast.
"""

import difflib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from exvideo.clips.optional_packages import check_installed

GROUP = "exvideo.filters"
"""The group of entry points, each of which names a `Filter`."""

OWN = (
    "black",
    "contrast",
    "motion",
    "speed",
    "shake",
    "flash",
    "dissolve",
    "repeats",
    "interlaced",
    "sharpness",
    "overexposure",
    "underexposure",
    "border",
)
"""In the order in which a clip is held against them: the first fault is its reason."""

OPTIONAL = {"text": ("rapidocr", "onnxruntime")}
"""The project's own that score only where a preset names them, with the packages they need."""

WITH_WEIGHTS = ("aesthetic",)
"""Those that score where a preset says where their weights lie."""


def filter_names() -> list[str]:
    """All names, in the order of judging: the project's own first, then by the alphabet."""
    return [*OWN, *OPTIONAL, *WITH_WEIGHTS, *sorted(offered())]


def check_thresholds(thresholds: Mapping[str, float | None]) -> None:
    """Raises `ValueError` for a name that no filter has, or one that lacks its packages."""
    names = filter_names()
    for name in thresholds:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"there is no filter {name!r}{hint}. Known are {', '.join(names)}")
        check_installed(f"the filter {name!r}", OPTIONAL.get(name, ()))


@cache
def offered() -> dict[str, EntryPoint]:
    """The entry points of installed packages' filters."""
    taken = {*OWN, *OPTIONAL, *WITH_WEIGHTS}
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in taken}
