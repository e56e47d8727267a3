"""The preset's section `evaluation`."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from exvideo.config.sections import Count, HomePath, Precision, Section, Seed, Side, Text
from exvideo.evaluation.flow_names import check_flow

Shown = Annotated[int, Field(ge=1, le=24)]
"""Rows or columns of the contact sheet, which must stay a picture that programs open."""


class FlowConfig(Section):
    """The flow network: its architecture and where its weights come from."""

    model: Annotated[str, AfterValidator(check_flow)]
    """raft_small or raft_large, as torchvision names them, or one that an installed package offers
    as an entry point of the group exvideo.flow."""
    weights: Text
    """A safetensors file, for RAFT also a torch state dict or `torchvision` for the published
    weights."""
    iterations: int = Field(ge=1, le=100)
    """How often the estimate is refined."""


class NetworksConfig(Section):
    """Weights on this machine, of networks that some metrics take."""

    clip: HomePath | None = None
    """CLIP ViT-B/32 (openai/clip-vit-base-patch32), for background_consistency: a folder in the
    layout of Hugging Face's transformers."""
    dino: HomePath | None = None
    """DINO ViT-B/16 (facebook/dino-vitb16), for subject_consistency and i2v_subject: such a folder,
    too."""
    i3d: HomePath | None = None
    """I3D (Kinetics-400), for fvd: a safetensors or torch state dict file of pytorch-i3d's
    layout."""
    dreamsim: HomePath | None = None
    """For i2v_background: the safetensors file of a network that an installed package offers as an
    entry point of the group exvideo.networks, as in the next two."""
    musiq: HomePath | None = None
    """For imaging_quality."""
    amt: HomePath | None = None
    """For motion_smoothness."""


class FrameSize(Section):
    """The size of a generated clip's frames."""

    height: Side
    """In pixels; a multiple of what the base model divides by, 64 for SVD."""
    width: Side
    """In pixels; a multiple of what the base model divides by, 64 for SVD."""

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


class EvaluationConfig(Section):
    """What is generated before, during and after post-tuning, and how it is measured."""

    clips: Count
    """Held-out first frames."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1, strict=False)]
    """Each first frame is generated from once with each of these."""
    sampling_steps: int = Field(ge=1, le=1000)
    """Of the sampler."""
    min_guidance_scale: float = Field(ge=0, le=100)
    """Classifier-free guidance at the first frame, linear in between; at most 1 is none."""
    max_guidance_scale: float = Field(ge=0, le=100)
    """Classifier-free guidance at the last frame."""
    motion_bucket_id: int = Field(ge=0, le=255)
    """SVD's condition on the amount of motion."""
    noise_aug_strength: float = Field(ge=0, le=10)
    """Standard deviation of the noise on the first frame, whose pixels are in [-1, 1]."""
    fps: int = Field(ge=1, le=1000)
    """SVD's condition on the frame rate, and the rate at which the video plays."""
    decode_chunk_size: Count
    """Frames that pass through the VAE's decoder at a time."""
    precision: Precision
    """What the U-Net computes in; auto is bfloat16 where that is native, else float32. VAE and
    flow compute in float32."""
    grid_clips: Shown
    """Clips that the contact sheet and the MP4 show."""
    grid_frames: Shown
    """Frames a clip that the contact sheet shows."""
    flow: FlowConfig
    """The optical flow that jitter and speed are measured with."""
    networks: NetworksConfig = NetworksConfig()
    """What further metrics need; without, these are unavailable."""
    resolutions: Annotated[tuple[FrameSize, ...], Field(max_length=8, strict=False)] = ()
    """Frame sizes that the stage resolution_grid generates from the same first frames."""
    other_models: HomePath | None = None
    """A folder of other models' videos, a folder a model, that comparison_grid shows as well."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.grid_clips > self.clips:
            raise ValueError(f"grid_clips ({self.grid_clips}) exceeds clips ({self.clips})")
        if self.max_guidance_scale < self.min_guidance_scale:
            raise ValueError(
                f"max_guidance_scale ({self.max_guidance_scale:g}) is below min_guidance_scale "
                f"({self.min_guidance_scale:g})"
            )
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds {list(self.seeds)} name one twice: its clips would be equal")
        for place, size in enumerate(self.resolutions):
            if size in self.resolutions[:place]:
                raise ValueError(f"resolutions: {size} is there twice")
        return self
