"""The preset's section `training`."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from exvideo.config.sections import Count, Fraction, Precision, Section, Seed, Workers


class SigmaConfig(Section):
    """log(sigma) ~ N(mean, std^2), the EDM noise distribution."""

    mean: float = Field(ge=-20, le=20)
    """Of log(sigma)."""
    std: float = Field(gt=0, le=20)
    """Of log(sigma)."""


class TrainingConfig(Section):
    """The post-tuning job."""

    steps: Count
    """Updates of the weights."""
    start: Literal["base", "champion"] = "base"
    """What the extension begins with: the base's own weights, or those of the registry's champion
    where there is one that was trained on other latents."""
    ranks: Workers
    """Processes, one a device; another number goes on with the same training."""
    nodes: Count | None = None
    """Nodes of the Ray cluster at RAY_ADDRESS, over which the ranks are spread evenly; null runs
    them where the stage runs."""
    batch_size: Count
    """Clips a step, over all ranks."""
    micro_batch_size: Count = 1
    """Clips that a rank holds at a time; it sums their gradients until the step's are complete."""
    frame_ranks: Count = 1
    """Ranks that share a clip's frames, for clips that one device can't hold."""
    learning_rate: float = Field(gt=0, le=1)
    """Of AdamW, after the warm-up."""
    schedule: Literal["constant", "cosine"] = "constant"
    """After the warm-up: as it is, or along half a cosine to zero at the last step."""
    warmup_steps: int = Field(ge=0)
    """Updates over which the learning rate rises to its value."""
    weight_decay: float = Field(ge=0, le=1)
    """Of AdamW."""
    max_grad_norm: PositiveFloat
    """Longer gradients are cut to this length."""
    precision: Precision
    """What the U-Net computes in; auto is bfloat16 where that is native, else float32. The
    optimizer's weights are float32 in any case."""
    zero_stage: Literal[0, 1, 2, 3]
    """What ZeRO shares out: 1 the optimizer's state, 2 gradients, too, 3 weights, too."""
    recipe: Literal["edm", "released"] = "edm"
    """SVD's own objective, as the paper asks, or what ExVideo's released code did instead."""
    parts: Annotated[
        tuple[Literal["table", "convolution", "temporal_blocks"], ...],
        Field(min_length=1, strict=False),
    ] = ("table", "convolution", "temporal_blocks")
    """What of the extension is trained: all of it, or less, to see what each part brings."""
    offload_optimizer: bool = False
    """Whether the optimizer and its state are on the CPU, for GPUs that have no room for them;
    needs zero_stage 1 or more."""
    sigma: SigmaConfig
    """The distribution of the noise levels that are trained on, by recipe edm, and validated on."""
    condition_dropout: Fraction
    """Share of the samples without a first frame, for classifier-free guidance."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)]
    """Of the averaged weights, which are what is published."""
    more_ema_decays: Annotated[
        tuple[Annotated[float, Field(ge=0, lt=1)], ...], Field(strict=False)
    ] = ()
    """Of further averages, each validated and written beside the published one."""
    snapshot_every: Count | None = None
    """Steps between two snapshots of EDM2's power-function averages, from which `exvideo average`
    makes one of any width afterwards; null keeps none."""
    activation_checkpointing: Literal["none", "block", "part"]
    """What is computed again in the backward pass to save memory; `part` saves most."""
    activation_gib: PositiveFloat | None = None
    """Room for a rank's kept activations: as many blocks as fit keep theirs, and are not computed
    again. With `block`; null keeps none."""
    compile: bool = False
    """Whether blocks are compiled (torch.compile), which takes minutes at each start."""
    attention: Literal["sdpa", "flash_attn"]
    """torch's own kernels, flash among them, or the flash-attn package."""
    seed: Seed
    """Decides the order of the clips and their noise."""
    log_every: Count
    """Steps between two rows of figures."""
    validate_every: Count
    """Steps between two losses on the held-out clips."""
    validation_clips: Count
    """Held-out clips used, evenly spread: with fixed noise a few tell one step from another."""
    sample_clips: int = Field(default=0, ge=0, le=64)
    """Held-out first frames from which a clip is drawn at each validation, as a picture with its
    flow and an MP4; with the evaluation's sampling steps and guidance."""
    checkpoint_every: Count
    """Steps between two checkpoints."""
    keep_checkpoints: Count
    """Older ones are deleted."""
    copy_checkpoints: bool = False
    """Whether they are copied from the scratch folder to the data root, such as a bucket, from
    where another machine goes on when this one is gone."""
    loader_workers: int = Field(ge=0, le=256)
    """Processes a rank that read latents; 0 reads in the rank itself."""

    @property
    def accumulate(self) -> int:
        """Micro-batches a rank and step."""
        return self.batch_size * self.frame_ranks // (self.ranks * self.micro_batch_size)

    @model_validator(mode="before")
    @classmethod
    def _no_hostfile(cls, settings: Any) -> Any:
        if isinstance(settings, dict) and settings.get("hostfile") is not None:
            raise ValueError(
                "hostfile: ranks on other hosts would outlive a cancelled job; leave it out and "
                "set nodes, with RAY_ADDRESS naming a Ray cluster"
            )
        return settings

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.ranks % self.frame_ranks != 0:
            raise ValueError(
                f"ranks ({self.ranks}) must be a multiple of frame_ranks ({self.frame_ranks})"
            )
        if self.nodes is not None and self.ranks % self.nodes != 0:
            raise ValueError(f"ranks ({self.ranks}) must be a multiple of nodes ({self.nodes})")
        groups = self.ranks // self.frame_ranks
        together = groups * self.micro_batch_size
        if self.batch_size % together != 0:
            shared = f" / frame_ranks ({self.ranks} / {self.frame_ranks})" * (groups < self.ranks)
            raise ValueError(
                f"batch_size ({self.batch_size}) must be a multiple of ranks{shared} times "
                f"micro_batch_size ({groups} x {self.micro_batch_size} = {together})"
            )
        if self.precision != "float32" and self.accumulate > 1 and self.zero_stage < 2:
            raise ValueError(
                f"zero_stage {self.zero_stage} would sum gradients in bfloat16, of which "
                f"{self.accumulate} micro-batches a step would lose much: set zero_stage to 2 or 3"
            )
        if self.recipe == "released" and self.condition_dropout > 0:
            raise ValueError(
                f"recipe released drops no condition: set condition_dropout "
                f"({self.condition_dropout:g}) to 0"
            )
        if self.compile and (self.frame_ranks > 1 or self.zero_stage == 3):
            raise ValueError(
                "compile can't be had together with frame_ranks above 1 or zero_stage 3, which "
                "exchange tensors within a block: set it to false"
            )
        if self.offload_optimizer and self.zero_stage == 0:
            raise ValueError("offload_optimizer is ZeRO's: set zero_stage to 1 or more")
        if self.activation_gib is not None and self.activation_checkpointing != "block":
            raise ValueError(
                "activation_gib says which blocks are not computed again: set "
                f"activation_checkpointing ({self.activation_checkpointing}) to block"
            )
        if self.warmup_steps >= self.steps:
            raise ValueError(
                f"warmup_steps ({self.warmup_steps}) must be below steps ({self.steps})"
            )
        if self.zero_stage == 0 and self.precision != "bfloat16":
            raise ValueError(
                "zero_stage 0 with precision float32, which auto may come to, cannot skip a "
                "non-finite step: set zero_stage to 1 or more"
            )
        if self.attention == "flash_attn" and self.precision == "float32":
            raise ValueError(
                "attention flash_attn computes in half precision only: set attention to sdpa, or "
                "precision to bfloat16"
            )
        return self
