"""What a training may use, and what an hour of it is worth."""

from typing import Annotated

from pydantic import Field

from exvideo.config.sections import Section

Price = Annotated[float, Field(ge=0, le=1e6)]
Limit = Annotated[float, Field(gt=0, le=1e12)]


class PricesConfig(Section):
    """What an hour costs; without any price no money is shown."""

    gpu_hour: Price | None = None
    """Of one GPU, for whatever holds it."""
    cpu_hour: Price | None = None
    """Of one core at work. Leave it out where a GPU's price has the machine in it."""
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    """Shown beside the figures."""


class LimitsConfig(Section):
    """What one training may use, all its attempts together; it is no part of what is trained."""

    gpu_hours: Limit | None = None
    """Ranks times hours. On a machine without GPUs a rank's hour counts as one, too."""
    cost: Limit | None = None
    """By `prices`, in their currency."""
