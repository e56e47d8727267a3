"""What a training begins with: the base as it is, or the registry's champion."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from upath import UPath

from exvideo.atomic_file import atomic_file
from exvideo.config import Preset
from exvideo.errors import InputError
from exvideo.sources.file_digests import sha256_of

if TYPE_CHECKING:
    from exvideo.registry import Version

STARTED_FROM = "started_from"
"""Tag of a version with the SHA-256 of the weights that its training began with."""


def started_from(preset: Preset, data_digest: str) -> "Version | None":
    """The version whose weights a training on these latents begins with; None for the base.

    A champion that was trained on these very latents is not gone on from: who asks for its
    training again, asks for one that begins as it did.
    """
    if preset.training.start == "base":
        return None
    from exvideo.registry import Registry

    registry = Registry(preset)
    champion = registry.champion()
    if champion is None or champion.tags.get("data_digest") != data_digest:
        return champion
    sha256 = champion.tags.get(STARTED_FROM)
    return registry.of_weights(sha256) if sha256 else None


def fetch_start(version: "Version", preset: Preset, target: Path) -> None:
    """A local copy of a version's weights for the ranks, unless it is there."""
    if target.is_file() and sha256_of(target) == version.sha256:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with registered_weights(version, preset) as path, atomic_file(target) as part:
        shutil.copyfile(path, part)


@contextmanager
def registered_weights(version: "Version", preset: Preset) -> Iterator[Path]:
    """A version's file of weights, local for the length of the block.

    Raises `InputError` where it is gone or has been changed.
    """
    from exvideo.video.local_copy import local_copy

    weights = UPath(version.tags["weights"])
    if not weights.exists():
        raise InputError(
            f"the weights of version {version.number} are gone from {weights}: put them back, or "
            f"name another champion with `exvideo promote VERSION --preset {preset.name}`"
        )
    with local_copy(weights) as path:
        if sha256_of(path) != version.sha256:
            raise InputError(f"{weights} is not what version {version.number} was registered with")
        yield path
