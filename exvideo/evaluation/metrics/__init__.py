"""What a clip is measured by: pure functions of its frames and its flow.

Frames are uint8 [T, H, W, 3]. Flow is float32 [T-1, 2, H, W], in pixels a frame, and `visible`,
bool [T-1, H, W], says which pixels are seen in both frames of a pair. A metric that a clip doesn't
have (a still one has no jitter) is NaN. docs/metrics.md lists them all.
"""

from exvideo.evaluation.metrics.appearance import (
    colour_drift,
    contrast_drift,
    frame_contrast,
    grayness,
    psnr,
    sharpness_drift,
    ssim,
    temporal_flickering,
    warping_error,
)
from exvideo.evaluation.metrics.camera import camera_flow, camera_jitter, path_straightness
from exvideo.evaluation.metrics.motion import (
    STILL,
    dynamic_degree,
    flow_coherence,
    flow_shake,
    flow_speed,
    jitter,
    vbench_interval,
)
from exvideo.evaluation.metrics.path_agreement import path_agreement
from exvideo.evaluation.metrics.piecewise import piecewise_straightness
from exvideo.evaluation.metrics.repetition import frozen_tail, repetition
from exvideo.evaluation.metrics.tracked_motion import frechet_distance, motion_histograms

__all__ = [
    "STILL",
    "camera_flow",
    "camera_jitter",
    "colour_drift",
    "contrast_drift",
    "dynamic_degree",
    "flow_coherence",
    "flow_shake",
    "flow_speed",
    "frame_contrast",
    "frechet_distance",
    "frozen_tail",
    "grayness",
    "jitter",
    "motion_histograms",
    "path_agreement",
    "path_straightness",
    "piecewise_straightness",
    "psnr",
    "repetition",
    "sharpness_drift",
    "ssim",
    "temporal_flickering",
    "vbench_interval",
    "warping_error",
]
