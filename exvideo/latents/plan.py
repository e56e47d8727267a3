"""Which clips make up which shard: a pure function of the clips and of what is finished."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exvideo.clips.manifest import Clip
from exvideo.latents.manifest import Encoding, Sidecar
from exvideo.latents.schema import FORMAT
from exvideo.receipt import digest_of

EVENLY = 160
"""Shards that few clips are shared out into, too: of twenty for each of eight workers, the one
that ends last ends soon after the others."""

FEWEST = 8
"""Clips of a shard for whose sake none is made smaller."""


@dataclass(frozen=True)
class ShardPlan:
    """A shard to write."""

    name: str
    """A digest of the clips' ids and of the encoding: equal names, equal shards."""
    clips: tuple[Clip, ...]


def plan_shards(
    clips: Iterable[Clip], finished: Sequence[Sidecar], clips_per_shard: int, encoding: Encoding
) -> list[ShardPlan]:
    """Shards of the clips that no finished shard accounts for, sorted by clip_id.

    A shard's clips are of one shape; the largest come first, as they take longest. Only a shape's
    last shard is not full, so what an interrupted run has left undone is cut into the
    very shards that it would have written.
    """
    clips = list(clips)
    # Of all clips, not of those that are left, for the same reason.
    clips_per_shard = min(clips_per_shard, max(FEWEST, math.ceil(len(clips) / EVENLY)))
    done = {clip_id for it in finished for clip_id in it.accounted_for()}
    shapes: dict[tuple[int, int, int], list[Clip]] = {}
    for clip in sorted((it for it in clips if it.clip_id not in done), key=lambda it: it.clip_id):
        shapes.setdefault(clip.shape, []).append(clip)
    plans = []
    for shape in sorted(shapes, key=lambda it: (math.prod(it), it), reverse=True):
        for start in range(0, len(shapes[shape]), clips_per_shard):
            shard = shapes[shape][start : start + clips_per_shard]
            plans.append(ShardPlan(_name(shard, encoding), tuple(shard)))
    return plans


def _name(clips: Sequence[Clip], encoding: Encoding) -> str:
    contents = [FORMAT, encoding.model_dump(), [it.clip_id for it in clips]]
    return f"shard-{digest_of(contents)[:16]}"
