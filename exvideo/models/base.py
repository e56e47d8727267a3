"""Base models: their parts, as the configuration names them, and their identity."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLTemporalDecoder,
    EulerDiscreteScheduler,
    StableVideoDiffusionPipeline,
    UNetSpatioTemporalConditionModel,
)
from huggingface_hub import snapshot_download
from safetensors import SafetensorError
from torch import nn
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from exvideo.config import BaseModelConfig, PretrainedBase, RandomBase, shipped
from exvideo.config.base_folder import SVD_XT, UNET_CONFIG, is_repository, single_file
from exvideo.errors import InputError
from exvideo.models.single_file import load_single_file

PARTS = ("unet", "vae", "image_encoder")
ENCODERS = ("vae", "image_encoder")
"""What latents and embeddings are made with."""


class BaseModelError(InputError):
    """A base model can't be loaded; the message says what is missing and where."""


def load_unet(
    base: BaseModelConfig, dtype: torch.dtype = torch.float32
) -> UNetSpatioTemporalConditionModel:
    """The base's U-Net, on the CPU, with `base_id` in its configuration."""
    _refuse_extended(folder(base) / UNET_CONFIG)
    unet = _load(base, "unet", UNetSpatioTemporalConditionModel, dtype)
    unet.register_to_config(base_id=base_id(base))
    return unet


def load_vae(
    base: BaseModelConfig, dtype: torch.dtype = torch.float32
) -> AutoencoderKLTemporalDecoder:
    """The base's VAE, on the CPU."""
    return _load(base, "vae", AutoencoderKLTemporalDecoder, dtype)


def load_image_encoder(
    base: BaseModelConfig, dtype: torch.dtype = torch.float32
) -> tuple[CLIPVisionModelWithProjection, CLIPImageProcessor]:
    """The base's CLIP image encoder, on the CPU, and the processor that prepares its input."""
    encoder = _load(base, "image_encoder", CLIPVisionModelWithProjection, dtype)
    processor = CLIPImageProcessor.from_pretrained(folder(base) / "feature_extractor")
    return encoder, processor


def load_pipeline(
    base: BaseModelConfig,
    unet: UNetSpatioTemporalConditionModel | None = None,
    dtype: torch.dtype = torch.float32,
) -> StableVideoDiffusionPipeline:
    """diffusers' pipeline of the base's parts, with `unet` in place of the base's own if given."""
    image_encoder, feature_extractor = load_image_encoder(base, dtype)
    return StableVideoDiffusionPipeline(
        vae=load_vae(base, dtype),
        image_encoder=image_encoder,
        unet=load_unet(base, dtype) if unet is None else unet,
        scheduler=EulerDiscreteScheduler.from_pretrained(folder(base), subfolder="scheduler"),
        feature_extractor=feature_extractor,
    )


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


def _refuse_extended(config: Path) -> None:
    # diffusers would load it as the base's class and drop the extension with a warning.
    if "extension" in json.loads(config.read_text()):
        raise BaseModelError(
            f"{config.parent.parent} is an extended pipeline, not a base: load it with "
            "StableVideoDiffusionPipeline.from_pretrained after importing exvideo.models."
        )


def _load(base: BaseModelConfig, part: str, cls: Any, dtype: torch.dtype) -> Any:
    local = folder(base)
    if not (local / part / "config.json").is_file():
        raise BaseModelError(f"{local} has no {part}/config.json.")
    if isinstance(base, RandomBase):
        return _random(cls, local / part, base.seed, dtype)
    if file := single_file(base):
        return _from_single_file(cls, local / part, file, dtype)
    try:
        return cls.from_pretrained(
            local / part, variant=base.variant, use_safetensors=True, dtype=dtype
        )
    except OSError as error:
        raise BaseModelError(f"{local / part} can't be loaded: {error}") from error


def _random(cls: Any, path: Path, seed: int, dtype: torch.dtype) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = _from_config(cls, path)
    # The plain method: diffusers' own warns of casts even where it has nothing to keep in fp32.
    return nn.Module.to(model, dtype).eval()


def _from_single_file(cls: Any, path: Path, file: Path, dtype: torch.dtype) -> Any:
    with torch.device("meta"):
        model = _from_config(cls, path)
    config = json.loads((path / "config.json").read_text())
    try:
        load_single_file(model, file, path.name, config)
    except (ValueError, SafetensorError) as error:
        raise BaseModelError(f"{file} can't be loaded: {error}") from error
    return nn.Module.to(model, dtype).eval()


def _from_config(cls: Any, path: Path) -> nn.Module:
    if cls is CLIPVisionModelWithProjection:
        return cls(CLIPVisionConfig.from_pretrained(path))
    return cls.from_config(cls.load_config(path))


@lru_cache
def _download(repository: str, revision: str | None, variant: str | None) -> Path:
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
