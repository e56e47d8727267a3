"""The evaluation's numbers: every sample measured, each phase's means, and how sure they are."""

from collections.abc import Hashable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from exvideo.evaluation import metrics
from exvideo.evaluation.flow import ClipFlow
from exvideo.evaluation.intervals import differences, interval
from exvideo.evaluation.networks import NO_NETWORKS, NetworkMetric, Networks
from exvideo.evaluation.protocol import Protocol
from exvideo.evaluation.samples import REAL

Metric = Literal[
    "flow_speed",
    "jitter",
    "camera_jitter",
    "path_straightness",
    "flow_coherence",
    "dynamic_degree",
    "visible",
    "warping_error",
    "visible_warping_error",
    "temporal_flickering",
    "first_frame_psnr",
    "first_frame_ssim",
    "colour_drift",
    "contrast_drift",
    "sharpness_drift",
    "frozen_tail",
    "repetition",
    "grayness",
    NetworkMetric,
    "dis_flow_speed",
    "dis_jitter",
    "dis_camera_jitter",
    "dis_path_straightness",
]

DEFINITIONS: dict[Metric, str] = {
    "flow_speed": "mean optical flow magnitude, pixels a frame",
    "jitter": "mean |second difference of the flow over time| / mean |flow|",
    "camera_jitter": "jitter of the affine motion that most of each pair's flow follows",
    "path_straightness": "net displacement / length of the path, of that motion",
    "flow_coherence": "cosine of a pixel's flow and its next one, weighted by their lengths",
    "dynamic_degree": "VBench: 1 if the clip moves enough at 8 frames a second, else 0",
    "visible": "share of pixels whose flow the flow back confirms",
    "warping_error": "mean |next frame warped back by the flow - frame|, pixels in [0, 1]",
    "visible_warping_error": "warping_error over visible pixels alone",
    "temporal_flickering": "VBench: 1 - mean |next frame - frame|, pixels in [0, 1]",
    "first_frame_psnr": "PSNR of the first generated frame against the given one, dB",
    "first_frame_ssim": "SSIM of the first generated frame against the given one",
    "colour_drift": "change of the mean colour from first to last frame, CIELAB",
    "contrast_drift": "change of the contrast from first to last frame, powers of two",
    "sharpness_drift": "change of the sharpness from first to last frame, powers of two",
    "frozen_tail": "share of the clip, at its end, in which nothing happens any more",
    "repetition": "1 if frames a period of the table apart are alike, 0 if no more than others",
    "grayness": "1 - mean chroma",
    "subject_consistency": "VBench: DINO's cosines to the frame before and the first one",
    "background_consistency": "VBench: CLIP's cosines to the frame before and the first one",
    "i2v_subject": "VBench-I2V: DINO's cosines to the given frame and between neighbours",
    "i2v_background": "VBench-I2V: DreamSim's cosines to the given frame and between neighbours",
    "imaging_quality": "VBench: mean of MUSIQ's scores of the frames / 100",
    "motion_smoothness": "VBench: 1 - mean |frame - AMT's guess from its neighbours|",
    "dis_flow_speed": "flow_speed by OpenCV's DIS (medium), as a cross-check",
    "dis_jitter": "jitter by OpenCV's DIS (medium), as a cross-check",
    "dis_camera_jitter": "camera_jitter by OpenCV's DIS (medium), as a cross-check",
    "dis_path_straightness": "path_straightness by OpenCV's DIS (medium), as a cross-check",
}

DISTANCES = {
    "motion_distance": "Fréchet distance of tracked motion from the real clips'",
    "fvd": "Fréchet video distance from the real clips, by I3D",
}
"""Of a phase's clips together: none of them has one alone."""


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
    interval: tuple[float, float] | None
    """95 %, by bootstrap over clips and seeds; None for fewer than 5 clips."""
    samples: int
    """How many samples the metric is defined for."""


class Numbers(_Record):
    """Everything that the evaluation measured."""

    protocol: Protocol
    definitions: dict[Metric, str] = DEFINITIONS
    num_frames: int
    fps: float
    """VBench's metrics depend on it, and no score of one rate compares with one of another."""
    period: int
    """Frames after which the table's first positions come again, for `repetition`."""
    summary: dict[str, dict[Metric, Estimate]]
    differences: dict[str, dict[Metric, Estimate]]
    """Each later generated phase less the first one, between samples of the same first frame and
    seed."""
    motion_distance: dict[str, float | None]
    """Fréchet distance between each phase's tracked motion and the real clips'; None where either
    has fewer than two segments of 16 frames."""
    fvd: dict[str, float | None] = {}
    """Fréchet video distance between each phase's clips and the real ones; empty without I3D."""
    samples: list[SampleNumbers]
    unavailable: dict[str, str] = {}
    """Metrics that were not measured, each with the reason."""

    def distances(self, phase: str) -> dict[str, float | None]:
        """A phase's, by name; None where it has none, as the real clips."""
        return {name: getattr(self, name).get(phase) for name in self.distance_definitions()}

    def distance_definitions(self) -> dict[str, str]:
        """Of those that were measured."""
        return {name: words for name, words in DISTANCES.items() if getattr(self, name)}


def measure(
    frames: np.ndarray,
    flow: ClipFlow,
    given: np.ndarray,
    period: int,
    *,
    phase: str,
    step: int,
    clip_id: str,
    seed: int,
    networks: Networks = NO_NETWORKS,
) -> SampleNumbers:
    """Measure a clip, uint8 [T, H, W, 3], by its flow and the frame that it starts from."""
    return SampleNumbers(
        phase=phase,
        step=step,
        clip_id=clip_id,
        seed=seed,
        values=clip_values(frames, flow, given, period, networks),
        speed=metrics.flow_speed(flow.raft).tolist(),
        shake=metrics.flow_shake(flow.raft).tolist(),
        contrast=metrics.frame_contrast(frames).tolist(),
    )


def clip_values(
    frames: np.ndarray,
    flow: ClipFlow,
    given: np.ndarray | None,
    period: int | None,
    networks: Networks = NO_NETWORKS,
) -> dict[Metric, float | None]:
    """Every metric of a clip; None where it is undefined, without `given` and `period` theirs."""
    values = _motion(flow) | _appearance(frames, flow) | networks.values(frames, given)
    if given is not None:
        values["first_frame_psnr"] = metrics.psnr(frames[0], given)
        values["first_frame_ssim"] = metrics.ssim(frames[0], given)
    if period is not None:
        values["repetition"] = metrics.repetition(frames, period)
    found = {name: values.get(name, np.nan) for name in DEFINITIONS}
    return {name: value if np.isfinite(value) else None for name, value in found.items()}


def _motion(flow: ClipFlow) -> dict[Metric, float]:
    camera = metrics.camera_flow(flow.raft, flow.visible)
    # DIS comes without the flow back; the fit bears what is occluded.
    dis_camera = metrics.camera_flow(flow.dis, np.ones_like(flow.visible))
    return {
        "flow_speed": float(metrics.flow_speed(flow.raft).mean()),
        "jitter": metrics.jitter(flow.raft),
        "camera_jitter": metrics.camera_jitter(camera),
        "path_straightness": metrics.path_straightness(camera),
        "flow_coherence": metrics.flow_coherence(flow.raft, flow.visible),
        "dynamic_degree": metrics.dynamic_degree(flow.sampled),
        "visible": float(flow.visible.mean()),
        "dis_flow_speed": float(metrics.flow_speed(flow.dis).mean()),
        "dis_jitter": metrics.jitter(flow.dis),
        "dis_camera_jitter": metrics.camera_jitter(dis_camera),
        "dis_path_straightness": metrics.path_straightness(dis_camera),
    }


def _appearance(frames: np.ndarray, flow: ClipFlow) -> dict[Metric, float]:
    return {
        "warping_error": metrics.warping_error(frames, flow.raft),
        "visible_warping_error": metrics.warping_error(frames, flow.raft, flow.visible),
        "temporal_flickering": metrics.temporal_flickering(frames),
        "colour_drift": metrics.colour_drift(frames),
        "contrast_drift": metrics.contrast_drift(frames),
        "sharpness_drift": metrics.sharpness_drift(frames),
        "frozen_tail": metrics.frozen_tail(frames),
        "grayness": metrics.grayness(frames),
    }


def summarise(
    samples: Sequence[SampleNumbers],
    motion: Mapping[str, Sequence[np.ndarray]],
    *,
    features: Mapping[str, Sequence[np.ndarray]] | None = None,
    protocol: Protocol,
    num_frames: int,
    fps: float,
    period: int,
    networks: Networks = NO_NETWORKS,
) -> Numbers:
    """Each phase's means over its samples, in the order in which the phases come.

    `motion` has each phase's `motion_histograms`, a clip an array, `features` its clips' features
    by I3D, where there is one.
    """
    phases = list(dict.fromkeys(sample.phase for sample in samples))
    values = {
        phase: {name: _values(samples, phase, name) for name in DEFINITIONS} for phase in phases
    }
    generated = [phase for phase in phases if phase != REAL.name]
    return Numbers(
        protocol=protocol,
        num_frames=num_frames,
        fps=fps,
        period=period,
        summary={
            phase: {name: estimate(it) for name, it in values[phase].items()} for phase in phases
        },
        differences={
            phase: {
                name: estimate(differences(it, values[generated[0]][name]))
                for name, it in values[phase].items()
            }
            for phase in generated[1:]
        },
        motion_distance=_from_the_real(motion),
        fvd=_from_the_real({name: [np.stack(it)] for name, it in (features or {}).items()}),
        samples=list(samples),
        unavailable=networks.unavailable(),
    )


def _values(
    samples: Sequence[SampleNumbers], phase: str, name: Metric
) -> dict[tuple[str, int], float]:
    return {
        (it.clip_id, it.seed): value
        for it in samples
        if it.phase == phase and (value := it.values[name]) is not None
    }


def estimate(values: Mapping[tuple[str, int], float]) -> Estimate:
    """Of a metric's values by clip and seed."""
    return Estimate(
        mean=fmean(values.values()) if values else None,
        standard_error_seeds=_standard_error([(seed, it) for (_, seed), it in values.items()]),
        standard_error_clips=_standard_error([(clip, it) for (clip, _), it in values.items()]),
        interval=interval(values),
        samples=len(values),
    )


def _standard_error(values: Sequence[tuple[Hashable, float]]) -> float | None:
    """Of the mean, from the spread of the groups' means; `values` are (group, value)."""
    groups: dict[Hashable, list[float]] = {}
    for group, value in values:
        groups.setdefault(group, []).append(value)
    means = [fmean(group) for group in groups.values()]
    return stdev(means) / len(means) ** 0.5 if len(means) > 1 else None


def _from_the_real(sets: Mapping[str, Sequence[np.ndarray]]) -> dict[str, float | None]:
    """Each phase's Fréchet distance from the real clips, of arrays of rows."""
    rows = {phase: np.concatenate(list(clips)) for phase, clips in sets.items()}
    real = rows.pop(REAL.name, np.empty((0, 0)))
    distances = {phase: metrics.frechet_distance(it, real) for phase, it in rows.items()}
    return {phase: it if np.isfinite(it) else None for phase, it in distances.items()}
