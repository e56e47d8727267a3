"""The evaluation's numbers: every sample measured, and each phase's means with their errors."""

from collections.abc import Hashable, Sequence
from statistics import fmean, stdev
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from exvideo.evaluation import metrics

Metric = Literal[
    "flow_speed", "jitter", "warping_error", "first_frame_psnr", "dis_flow_speed", "dis_jitter"
]

DEFINITIONS: dict[Metric, str] = {
    "flow_speed": "mean optical flow magnitude, pixels a frame",
    "jitter": "mean |second difference of the flow over time| / mean |flow|",
    "warping_error": "mean |next frame warped back by the flow - frame|, pixels in [0, 1]",
    "first_frame_psnr": "PSNR of the first generated frame against the given one, dB",
    "dis_flow_speed": "flow_speed by OpenCV's DIS (medium), as a cross-check",
    "dis_jitter": "jitter by OpenCV's DIS (medium), as a cross-check",
}


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SampleNumbers(_Record):
    """One generated clip."""

    phase: str
    step: int
    clip_id: str
    seed: int
    values: dict[Metric, float | None]
    """None where a metric is undefined: a still clip has no jitter."""
    speed: list[float]
    """Mean flow magnitude a pair of frames, [T-1]."""
    shake: list[float]
    """Mean second difference of the flow, [T-3]; the first belongs to the second pair."""
    contrast: list[float]
    """Standard deviation of each frame's pixels in [0, 1], [T]."""


class Estimate(_Record):
    """A mean over samples."""

    mean: float | None
    standard_error_seeds: float | None
    """Over seeds, of the means over clips; None with a single seed."""
    standard_error_clips: float | None
    """Over clips, of the means over seeds; None with a single clip."""
    samples: int
    """How many samples the metric is defined for."""


class Numbers(_Record):
    """Everything that the evaluation measured."""

    estimator: str
    definitions: dict[Metric, str] = DEFINITIONS
    num_frames: int
    summary: dict[str, dict[Metric, Estimate]]
    samples: list[SampleNumbers]


def measure(
    frames: np.ndarray,
    flow: np.ndarray,
    dis: np.ndarray,
    given: np.ndarray,
    *,
    phase: str,
    step: int,
    clip_id: str,
    seed: int,
) -> SampleNumbers:
    """Measure a clip, uint8 [T, H, W, 3], by its flow and DIS's flow, [T-1, 2, H, W] each."""
    values: dict[Metric, float] = {
        "flow_speed": float(metrics.flow_speed(flow).mean()),
        "jitter": metrics.jitter(flow),
        "warping_error": metrics.warping_error(frames, flow),
        "first_frame_psnr": metrics.psnr(frames[0], given),
        "dis_flow_speed": float(metrics.flow_speed(dis).mean()),
        "dis_jitter": metrics.jitter(dis),
    }
    return SampleNumbers(
        phase=phase,
        step=step,
        clip_id=clip_id,
        seed=seed,
        values={name: value if np.isfinite(value) else None for name, value in values.items()},
        speed=metrics.flow_speed(flow).tolist(),
        shake=metrics.flow_shake(flow).tolist(),
        contrast=metrics.frame_contrast(frames).tolist(),
    )


def summarise(samples: Sequence[SampleNumbers], estimator: str, num_frames: int) -> Numbers:
    """Each phase's means over its samples, in the order in which the phases come."""
    phases = dict.fromkeys(sample.phase for sample in samples)
    summary = {
        phase: {
            name: _estimate([it for it in samples if it.phase == phase], name)
            for name in DEFINITIONS
        }
        for phase in phases
    }
    return Numbers(
        estimator=estimator, num_frames=num_frames, summary=summary, samples=list(samples)
    )


def _estimate(samples: Sequence[SampleNumbers], name: Metric) -> Estimate:
    defined = [(it, value) for it in samples if (value := it.values[name]) is not None]
    return Estimate(
        mean=fmean(value for _, value in defined) if defined else None,
        standard_error_seeds=_standard_error([(it.seed, value) for it, value in defined]),
        standard_error_clips=_standard_error([(it.clip_id, value) for it, value in defined]),
        samples=len(defined),
    )


def _standard_error(values: Sequence[tuple[Hashable, float]]) -> float | None:
    """Of the mean, from the spread of the groups' means; `values` are (group, value)."""
    groups: dict[Hashable, list[float]] = {}
    for group, value in values:
        groups.setdefault(group, []).append(value)
    means = [fmean(group) for group in groups.values()]
    return stdev(means) / len(means) ** 0.5 if len(means) > 1 else None
