"""How many of what was found are left after each step, and why the others are not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from exvideo.clips.filters.filter import Filter
from exvideo.clips.manifest import Clip
from exvideo.clips.verdicts import Thresholds, thresholds
from exvideo.config import ClipsConfig
from exvideo.errors import InputError

NAMED_FILES = 3
"""Unreadable files that an error names."""


@dataclass(frozen=True)
class Funnel:
    """Of one source. Candidates are the kept and the rejected ones together."""

    source: str
    videos: int
    """That were found."""
    decoded: int
    """Of them, those in which something is readable."""
    candidates: int
    rejected: dict[str, int]
    """By the kind of reason, the most frequent first."""
    kept: int


def funnels(clips: Sequence[Clip]) -> list[Funnel]:
    """One for each source, by its name."""
    return [
        _funnel(source, [clip for clip in clips if clip.source == source])
        for source in sorted({clip.source for clip in clips})
    ]


def _funnel(source: str, clips: list[Clip]) -> Funnel:
    reasons = Counter(clip.reason_kind or "" for clip in clips if clip.status == "rejected")
    return Funnel(
        source=source,
        videos=len({clip.video_id for clip in clips}),
        decoded=len({clip.video_id for clip in clips if clip.reason_kind != "unreadable"}),
        candidates=len(clips),
        rejected=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        kept=len(clips) - reasons.total(),
    )


def funnel_rows(clips: Sequence[Clip]) -> list[list[str]]:
    """The funnels as a table: a head, then a row a source."""
    rows = funnels(clips)
    kinds = sorted({kind for row in rows for kind in row.rejected})
    table = [["source", "videos", "decoded", "candidates", *kinds, "kept"]]
    for row in rows:
        counts = [row.videos, row.decoded, row.candidates]
        counts += [row.rejected.get(kind, 0) for kind in kinds] + [row.kept]
        table.append([row.source, *map(str, counts)])
    return table


def funnel_table(clips: Sequence[Clip]) -> str:
    """The funnels in Markdown."""
    head, *rows = funnel_rows(clips)
    lines = [head, ["---"] * len(head), *rows]
    # A name may hold what would end the cell.
    return "\n".join(f"| {' | '.join(c.replace('|', '/') for c in line)} |" for line in lines)


def check_some_kept(clips: list[Clip], config: ClipsConfig, filters: Sequence[Filter]) -> None:
    """Raises `InputError`, with what stood against the candidates, where none is kept."""
    if any(clip.status == "kept" for clip in clips):
        return
    reasons = Counter(clip.reason_kind for clip in clips)
    message = f"0 of {len(clips)} candidates are kept"
    if reasons["unreadable"] == len(clips):
        named = "; ".join(f"{c.pieces[0].path}: {c.reason}" for c in clips[:NAMED_FILES])
        raise InputError(f"{message}. None of the files can be decoded: {named}")
    nearest = _nearest(clips, filters, thresholds(filters, config.filters))
    counts = [nearest.pop(kind, f"{n} {kind}") for kind, n in reasons.most_common() if kind]
    message = f"{message}: {', '.join(counts)}"
    hints = []
    if reasons["too short"]:
        longest = max(clip.num_frames for clip in clips if clip.reason_kind == "too short")
        hints.append(
            f"the longest scene has {longest} frames, clips.num_frames asks for "
            f"{config.num_frames} at clips.fps {config.fps or 'null (every frame)'}: lower "
            "clips.num_frames or use longer videos"
        )
    if reasons["too small"]:
        hints.append(f"clips are {config.height}x{config.width} px: lower clips.height and width")
    hints += [
        f"{'lower' if found.keeps == 'at least' else 'raise'} clips.filters.{found.name}"
        for found in filters
        if reasons[found.fault]
    ]
    raise InputError(f"{message}; {'; '.join(hints)}" if hints else message)


def _nearest(
    clips: Sequence[Clip], filters: Sequence[Filter], applied: Thresholds
) -> dict[str, str]:
    """By fault: how many clips have it, and the score that comes nearest to passing."""
    said = {}
    for found in filters:
        scores = [clip.scores[found.name] for clip in clips if clip.reason_kind == found.fault]
        if scores:
            low = found.keeps == "at least"
            nearest = max(scores) if low else min(scores)
            said[found.fault] = (
                f"{len(scores)} by {found.name}, at best {nearest:.3g} {'<' if low else '>'} "
                f"{applied[found.name]:g}"
            )
    return said
