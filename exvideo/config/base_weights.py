"""A base model's weights: where they lie, and their identity, read without loading torch."""

import hashlib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path

from exvideo.config.base_folder import SVD_XT, UNET_CONFIG, is_repository, single_file
from exvideo.config.places import shipped
from exvideo.config.sections import BaseModelConfig, PretrainedBase, RandomBase
from exvideo.errors import InputError

PARTS = ("unet", "vae", "image_encoder")
ENCODERS = ("vae", "image_encoder")
"""What latents and embeddings are made with."""


class BaseModelError(InputError):
    """A base model can't be loaded; the message says what is missing and where."""


def folder(base: BaseModelConfig) -> Path:
    """The local folder in diffusers' layout; a hub repository is downloaded to the hub's cache.

    For a single file, the folder that has the parts' configurations: its own, else SVD-XT's.

    Raises:
        BaseModelError: if there is no such folder, or it lacks a part.
    """
    local = Path(shipped(base.path)).expanduser()
    if single_file(base):
        return local.parent if (local.parent / UNET_CONFIG).is_file() else SVD_XT
    if not local.exists() and isinstance(base, PretrainedBase) and is_repository(base.path):
        local = _download(base.path, base.revision, base.variant)
    if not local.is_dir():
        raise BaseModelError(f"There is no base model at {base.path}: no such folder.")
    if not (local / UNET_CONFIG).is_file():
        raise BaseModelError(
            f"{local} is no base model in diffusers' layout: it has no {UNET_CONFIG}."
        )
    return local


def base_id(base: BaseModelConfig, parts: Sequence[str] = PARTS) -> str:
    """A stable identity of the weights of a base's parts.

    `repository@commit` on the hub and `sha256:...` of a single file, whatever the parts;
    `sha256:...` of a local folder's weights, `random:...:seed` for random ones.
    """
    local = folder(base)
    if file := single_file(base):
        return f"sha256:{_file_digest(file)}"
    if isinstance(base, RandomBase):
        configurations = (local / part / "config.json" for part in parts)
        return f"random:{_digest(path for path in configurations if path.is_file())}:{base.seed}"
    if local.parent.name == "snapshots":
        return f"{base.path}@{local.name}"
    wanted, unwanted = _weights(base.variant)
    files = (file for part in parts for file in (local / part).glob(wanted))
    return f"sha256:{_digest(file for file in files if not fnmatch(file.name, unwanted))}"


@lru_cache
def _download(repository: str, revision: str | None, variant: str | None) -> Path:
    from huggingface_hub import snapshot_download

    # Once a process, so that all parts are of one commit even while the repository moves on.
    wanted, unwanted = _weights(variant)
    try:
        local = snapshot_download(
            repository,
            revision=revision,
            allow_patterns=[f"{part}/{wanted}" for part in PARTS] + ["*.json"],
            ignore_patterns=[f"{part}/{unwanted}" for part in PARTS] if unwanted else None,
        )
    except OSError as error:
        raise BaseModelError(f"{repository} can't be had from the hub: {error}") from error
    return Path(local)


def _weights(variant: str | None) -> tuple[str, str]:
    """Patterns of a variant's weights and, among their matches, of other variants'."""
    if variant:
        return f"*.{variant}*.safetensors", ""
    return "*.safetensors", "*.*.safetensors"


def _digest(files: Iterable[Path]) -> str:
    """SHA-256 over files' folders, names and contents, shortened to 16 digits."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.parent.name}/{file.name}\0{_file_digest(file)}\0".encode())
    return digest.hexdigest()[:16]


def _file_digest(path: Path) -> str:
    status = path.stat()
    return _content_digest(path, status.st_mtime_ns, status.st_size)


@lru_cache
def _content_digest(path: Path, mtime_ns: int, size: int) -> str:
    # Gigabytes are read once a process, unless the file has changed since.
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
