"""A job that trains in seconds: a tiny random base, few short clips, small steps."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from exvideo.config import ModelConfig, RandomBase, SigmaConfig, TrainingConfig
from exvideo.training.job import TrainingJob

BASE = RandomBase(kind="random", path=str(Path(__file__).parent / "short_svd"), seed=0)
NUM_FRAMES = 4
"""Beyond the base's own 2."""


TIMED = (
    "seconds_per_step",
    "clips_per_second",
    "memory_gb",
    "waiting_for_data",
    "tflops_per_second",
)
"""Of a row's figures, what a clock or the machine decides."""


class MadeClips:
    """Clips as `LatentClips` gives them, made from a seed."""

    scaling_factor = 0.18215

    def __init__(self, count: int, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> torch.Tensor:
            return torch.randn(shape, generator=generator)

        self.clips: list[dict[str, Any]] = [
            {
                "latents": 5 * normal(1, 4, 4, 4).expand(NUM_FRAMES, -1, -1, -1).contiguous(),
                "cond_latents": 5 * normal(2, 4, 4, 4),
                "noise_aug_strengths": torch.tensor([0.02, 0.05]),
                "image_embeds": normal(32),
                "fps": torch.tensor(24.0),
                "motion_bucket_id": torch.tensor(100),
                "clip_id": f"{index:016x}",
            }
            for index in range(count)
        ]

    @property
    def buckets(self) -> list[np.ndarray]:
        shapes = [tuple(clip["latents"].shape) for clip in self.clips]
        return [np.flatnonzero([it == shape for it in shapes]) for shape in sorted({*shapes})]

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.clips[index]


def training_config(**changes: Any) -> TrainingConfig:
    settings: dict[str, Any] = {
        "steps": 6,
        "ranks": 1,
        "batch_size": 2,
        "micro_batch_size": 2,
        "learning_rate": 1e-3,
        "warmup_steps": 1,
        "weight_decay": 0.01,
        "max_grad_norm": 1.0,
        "precision": "float32",
        "zero_stage": 2,
        "sigma": SigmaConfig(mean=1.0, std=1.6),
        "condition_dropout": 0.1,
        "ema_decay": 0.5,
        "activation_checkpointing": "none",
        "attention": "sdpa",
        "seed": 3,
        "log_every": 2,
        "validate_every": 3,
        "validation_clips": 16,
        "checkpoint_every": 2,
        "keep_checkpoints": 2,
        "loader_workers": 0,
    }
    return TrainingConfig(**{**settings, **changes})


def training_job(folder: Path, **changes: Any) -> TrainingJob:
    return TrainingJob(
        training=training_config(**changes),
        model=ModelConfig(base=BASE),
        num_frames=NUM_FRAMES,
        latents=str(folder / "latents" / "manifest.json"),
        data_digest="0" * 64,
        folder=folder / "job",
    )
