"""When a new model is trained by itself, and what lets it become the champion."""

from typing import Annotated

from pydantic import Field

from exvideo.config.sections import Count, Fraction, Section

Margin = Annotated[float, Field(ge=0, le=10)]


class GateConfig(Section):
    """A new model against the champion, from the same first frames and noise.

    A margin must hold for the whole 95 % interval of the paired difference: what is not known well
    enough does not pass.
    """

    least_motion: Fraction = 0.25
    """Mean flow speed, as a share of the real clips': a model that stands still has no jitter."""
    most_still_clips: Fraction = 0.1
    """Share of the clips that may stand still."""
    jitter_margin: Margin = 0.1
    """By how much jitter may be higher, as a share of the champion's."""
    warping_error_margin: Margin = 0.1
    """By how much the flow-warped error may be higher, as a share of the champion's."""
    first_frame_margin: Margin = 0.5
    """By how much the first frame's PSNR may be lower, dB."""


class RetrainingConfig(Section):
    """The weekly schedule and the sensor; both are off until somebody switches them on."""

    min_new_videos: Count = 1
    """Video files that the last model has not seen, before a new one is trained."""
    gate: GateConfig = GateConfig()
    """What a new model must reach to become the champion."""
