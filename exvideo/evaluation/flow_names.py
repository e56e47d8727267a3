"""Which networks of optical flow there are: torchvision's RAFT, and those that packages offer.

Nothing is loaded here, so that presets are checked fast.
"""

import difflib

from exvideo.evaluation.offered import offered

GROUP = "exvideo.flow"
"""The group of entry points, each of which names a function that makes a network of its weights."""

OWN = ("raft_small", "raft_large")


def check_flow(name: str) -> str:
    """The name itself. Raises `ValueError` where no network has it."""
    names = [*OWN, *sorted(offered(GROUP).keys() - OWN)]
    if name not in names:
        near = difflib.get_close_matches(name, names, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"there is no flow network {name!r}{hint}. Known are {', '.join(names)}")
    return name
