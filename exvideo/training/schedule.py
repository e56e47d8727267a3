"""The learning rate of each update."""

import math

from exvideo.config import TrainingConfig


def learning_rate(config: TrainingConfig, updates: int) -> float:
    """After so many updates: a linear warm-up, then constant or half a cosine."""
    warm = min(1.0, (updates + 1) / max(config.warmup_steps, 1))
    if config.schedule == "constant":
        return config.learning_rate * warm
    done = max(0, updates - config.warmup_steps) / (config.steps - config.warmup_steps)
    return config.learning_rate * warm * (1 + math.cos(math.pi * done)) / 2
