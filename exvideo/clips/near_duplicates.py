"""Clips that show the same, though encoded, scaled, cropped or timed otherwise.

Two clips are compared only where a half of some frame's hash is the same in both (multi-index
hashing; Norouzi et al., 2012): the work grows with the number of such pairs, not with all pairs.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from exvideo.clips.manifest import Clip
from exvideo.clips.signature import hashes

BANDS, BAND_BITS = 2, 32

MOST_IN_BUCKET = 512
"""Clips that share half a hash: of plain pictures more do, and it is no hint."""

CHUNK = 4096
"""Pairs that are compared at a time."""


def without_near_duplicates(clips: Sequence[Clip], bits: int) -> list[Clip]:
    """The best of each group of near-duplicates stays, the others are rejected and name it.

    `bits` is what near-duplicates' frames differ by at most, in the median over a clip's frames.
    Better is the clip with more pixels in its source, then the one that comes first. Clips of one
    video are never held against each other: neighbours look alike.
    """
    kept = [index for index, clip in enumerate(clips) if clip.status == "kept" and clip.signature]
    if len(kept) < 2:
        return list(clips)
    kept.sort(key=lambda index: (-clips[index].crop_height * clips[index].crop_width, index))
    videos = np.unique([clips[index].video_id for index in kept], return_inverse=True)[1]
    table = np.stack([hashes(clips[index].signature or "") for index in kept])
    better: dict[int, list[tuple[int, int]]] = {}
    for first, second, distance in near_pairs(table, videos, bits):
        better.setdefault(second, []).append((first, distance))
    judged = list(clips)
    for place, index in enumerate(kept):
        for first, distance in better.get(place, []):
            original = judged[kept[first]]
            if original.status == "kept":
                reason = (
                    f"near-duplicate: {distance} of 64 bits from {original.clip_id} "
                    f"in {original.video_id}"
                )
                judged[index] = judged[index].rejected(reason)
                break
    return judged


def near_pairs(
    table: NDArray[np.uint64], videos: NDArray[np.int64], bits: int
) -> list[tuple[int, int, int]]:
    """(first, second, bits between them) of near rows [N, frames, parts, crops], first < second."""
    pairs = _pairs_that_share_a_band(table)
    pairs = pairs[videos[pairs[:, 0]] != videos[pairs[:, 1]]]
    found = []
    for start in range(0, len(pairs), CHUNK):
        chunk = pairs[start : start + CHUNK]
        distances = _distance(table[chunk[:, 0]], table[chunk[:, 1]])
        found += [
            (int(a), int(b), int(distance))
            for (a, b), distance in zip(chunk, distances, strict=True)
            if distance <= bits
        ]
    return found


def _distance(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.float64]:
    """[P]: the median, over a clip's frames, of the bits to the nearest frame of the other.

    The part that differs least counts, of one clip as it is, of the other at the crop that suits
    best. A clip that was timed otherwise may show more than the other does: the better of both
    directions counts.
    """
    bits = np.minimum(_bits(one[..., :1], other), _bits(one, other[..., :1]))
    there, back = np.median(bits.min(axis=2), axis=1), np.median(bits.min(axis=1), axis=1)
    return np.minimum(there, back).min(axis=1)


def _bits(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """[P, frames, frames, parts], the least over the crops."""
    differing = one[:, :, None, :, :, None] ^ other[:, None, :, :, None, :]
    return np.bitwise_count(differing).min(axis=(4, 5))


def _pairs_that_share_a_band(table: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Unique [P, 2], first < second."""
    count = len(table)
    found = [np.empty(0, np.int64)]
    for part, band in product(range(table.shape[2]), range(BANDS)):
        shift = np.uint64(band * BAND_BITS)
        one, other = _keys(table[:, :, part, 0], shift), _keys(table[:, :, part], shift)
        first = np.searchsorted(one, other & ~_CLIP)
        behind = np.searchsorted(one, other | _CLIP, side="right")
        size = np.where(behind - first <= MOST_IN_BUCKET, behind - first, 0)
        a = np.repeat(other & _CLIP, size).astype(np.int64)
        offsets = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        b = (one[np.repeat(first, size) + offsets] & _CLIP).astype(np.int64)
        low, high = np.minimum(a, b), np.maximum(a, b)
        found.append(np.unique((low * count + high)[low < high]))
    joined = np.unique(np.concatenate(found))
    return np.stack([joined // count, joined % count], axis=1)


_CLIP = np.uint64((1 << 32) - 1)


def _keys(table: NDArray[np.uint64], shift: np.uint64) -> NDArray[np.uint64]:
    """Sorted and unique: a band's 32 bits above the row's number."""
    bands = (table.reshape(len(table), -1) >> shift) & np.uint64((1 << BAND_BITS) - 1)
    rows = np.arange(len(table), dtype=np.uint64)[:, None]
    return np.unique((bands << np.uint64(32)) | rows)
