"""Which clips make up which shard: a pure function of the clips and of what is finished."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exvideo.clips.manifest import Clip
from exvideo.latents.manifest import Encoding, Sidecar
from exvideo.latents.schema import FORMAT
from exvideo.receipt import digest_of


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

    Only the last shard is not full, so what an interrupted run has left undone is cut into the
    very shards that it would have written.
    """
    done = {clip_id for it in finished for clip_id in it.accounted_for()}
    left = sorted((it for it in clips if it.clip_id not in done), key=lambda it: it.clip_id)
    shards = [left[i : i + clips_per_shard] for i in range(0, len(left), clips_per_shard)]
    return [ShardPlan(_name(shard, encoding), tuple(shard)) for shard in shards]


def _name(clips: Sequence[Clip], encoding: Encoding) -> str:
    contents = [FORMAT, encoding.model_dump(), [it.clip_id for it in clips]]
    return f"shard-{digest_of(contents)[:16]}"
