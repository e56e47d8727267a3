"""Whether a resumed training shows what it would have shown undisturbed."""

from collections import Counter
from collections.abc import Sequence

Steps = list[list[int]]
"""The clips of each step, over all ranks, sorted."""


def merged(ranks: Sequence[Sequence[Sequence[int]]]) -> Steps:
    """Steps of all ranks together, from those of each."""
    return [sorted(clip for own in step for clip in own) for step in zip(*ranks, strict=True)]


def verdict(undisturbed: Steps, resumed: Steps, clips: int) -> str:
    """Of an epoch in two parts beside the same epoch in one."""
    shown = Counter(clip for step in resumed for clip in step)
    repeated = sum(shown.values()) - len(shown)
    missed = clips - len(shown)
    once = "each once" if not repeated + missed else f"{repeated} repeated, {missed} missed"
    if undisturbed is resumed:
        return once
    if undisturbed == resumed:
        return "exact" if not repeated + missed else f"the same steps ({once})"
    first = next(
        step
        for step in range(1 + len(resumed))
        if undisturbed[step : step + 1] != resumed[step : step + 1]
    )
    return f"{once}, other clips from step {first + 1} on"
