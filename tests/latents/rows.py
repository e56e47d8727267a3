"""Shards of known content, written without a model."""

from collections.abc import Sequence

import numpy as np
from upath import UPath

from exvideo.clips.manifest import Clip, ClipPiece
from exvideo.latents.manifest import (
    Encoding,
    LatentClip,
    LatentManifest,
    Missing,
    Sidecar,
    manifest_of,
)
from exvideo.latents.schema import LatentRow, TensorShapes, arrow_schema, lossless
from exvideo.latents.shard import open_shard, write_sidecar

SHAPES = TensorShapes(latents=(3, 4, 2, 2), image_embeds=(5,), cond_latents=(2, 4, 2, 2))
ENCODING = Encoding(
    base_id="random:0",
    preprocessing="made",
    dtype="float32",
    frames_per_batch=2,
    noise_augmentations=2,
)


def row(clip_id: str, shapes: TensorShapes = SHAPES) -> LatentRow:
    """Noise that `clip_id` determines."""
    draw = np.random.default_rng(list(clip_id.encode())).standard_normal
    return LatentRow(
        clip_id=clip_id,
        noise_aug_strengths=np.exp(draw(2)).astype("float32"),
        first_frame=lossless(first_frame(clip_id)),
        image_embeds=draw(shapes.image_embeds).astype("float16"),
        cond_latents=draw(shapes.cond_latents).astype("float16"),
        latents=(5 * draw(shapes.latents)).astype("float16"),
    )


def first_frame(clip_id: str) -> np.ndarray:
    """Noise that `clip_id` determines, uint8 [16,16,3]."""
    return np.random.default_rng(list(clip_id.encode())).integers(0, 256, (16, 16, 3), np.uint8)


def source_clip(clip_id: str) -> Clip:
    """The clip that a row comes from."""
    piece = ClipPiece(
        path=f"{clip_id}.mp4", sha256=f"{clip_id}-digest", start_frame=7, num_frames=3
    )
    return Clip(
        clip_id=clip_id,
        video_id=clip_id,
        source="made",
        status="kept",
        pieces=[piece],
        stride=2,
        fps=29.97,
        num_frames=3,
        height=16,
        width=16,
        motion_score=0.25,
        motion_bucket_id=127,
        caption=f"the clip {clip_id}",
        licence="CC0",
    )


def clip(clip_id: str, split: str = "train") -> LatentClip:
    return LatentClip.of(source_clip(clip_id).model_copy(update={"split": split}))


def write_shard(
    folder: UPath,
    name: str,
    clip_ids: Sequence[str],
    missing: Sequence[str] = (),
    shapes: TensorShapes = SHAPES,
) -> Sidecar:
    """A finished shard of `row(clip_id)` for every clip."""
    folder.mkdir(parents=True, exist_ok=True)
    with open_shard(
        folder, name, arrow_schema(shapes, {"encoding": ENCODING.model_dump()})
    ) as writer:
        for clip_id in clip_ids:
            writer.write(row(clip_id, shapes), source_clip(clip_id))
    sidecar = Sidecar(
        encoding=ENCODING,
        shapes=shapes,
        scaling_factor=0.18215,
        encoded_with={"device": "none"},
        shard=writer.shard,
        missing=tuple(Missing(clip_id=it, reason="broken", permanent=True) for it in missing),
        statistics=writer.statistics,
    )
    write_sidecar(folder, sidecar)
    return sidecar


def manifest(folder: UPath, *shards: Sequence[str], held_out: Sequence[str] = ()) -> LatentManifest:
    """Shards of these clips and the manifest over them."""
    sidecars = [write_shard(folder, f"shard-{i}", ids) for i, ids in enumerate(shards)]
    clips = [clip(c, "held_out" if c in held_out else "train") for ids in shards for c in ids]
    return manifest_of(clips, sidecars, clips_manifest="0" * 64)
