"""What a clip's metrics cost beside its flow.

python -m benchmarks.evaluation_metrics [--frames 128] [--size 128] [--model raft_small]

RAFT's cost is that of the flow there and back and of VBench's sampled frames, by random weights:
its work does not depend on them. Processor time without a GPU. The aim is at most 0.2 of RAFT's.
"""

import argparse
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from torchvision.models import optical_flow

from exvideo.evaluation import metrics
from exvideo.evaluation.flow import Raft, clip_flow, dis_flow
from exvideo.evaluation.numbers import measure
from exvideo.generation.load import best_device
from exvideo.world import TRAIN_PHOTOGRAPHS, random_spec, render_clip

T = TypeVar("T")

FPS = 30.0
PERIOD = 40


def main() -> None:
    parser = argparse.ArgumentParser(description="What a clip's metrics cost beside its flow.")
    parser.add_argument("--frames", type=int, default=128)
    parser.add_argument("--size", type=int, default=128, help="pixels a side")
    parser.add_argument("--model", default="raft_small")
    parser.add_argument("--iterations", type=int, default=5)
    options = parser.parse_args()
    torch.manual_seed(0)
    network = getattr(optical_flow, options.model)(weights=None).eval().to(best_device())
    raft = Raft(network, options.iterations, options.model)
    spec = random_spec(0, TRAIN_PHOTOGRAPHS, fps=FPS)
    frames = render_clip(spec, options.frames, options.size, options.size, FPS).frames
    parts, everything = costs(raft, frames)
    print(
        f"{options.frames} frames of {options.size}x{options.size}, {options.model}, "
        f"{options.iterations} iterations, {best_device()}"
    )
    whole = parts["RAFT"]
    for name, seconds in parts.items():
        print(f"{name:24}{seconds:>9.3f} s{seconds / whole:>9.4f} of RAFT")
    print(f"{'all but RAFT':24}{everything:>9.3f} s{everything / whole:>9.4f} of RAFT")


def costs(raft: Raft, frames: np.ndarray) -> tuple[dict[str, float], float]:
    """Seconds of RAFT and of each metric, and of all but RAFT as the evaluation runs them."""
    flow, raft_and_dis = timed(lambda: clip_flow(raft, frames, FPS))
    _, dis = timed(lambda: dis_flow(frames))
    camera, fit = timed(lambda: metrics.camera_flow(flow.raft, flow.visible))
    work: dict[str, Callable[[], object]] = {
        "jitter": lambda: metrics.jitter(flow.raft),
        "camera jitter": lambda: metrics.camera_jitter(camera),
        "flow coherence": lambda: metrics.flow_coherence(flow.raft, flow.visible),
        "dynamic degree": lambda: metrics.dynamic_degree(flow.sampled),
        "warping error": lambda: metrics.warping_error(frames, flow.raft, flow.visible),
        "temporal flickering": lambda: metrics.temporal_flickering(frames),
        "first frame's SSIM": lambda: metrics.ssim(frames[0], frames[1]),
        "colour drift": lambda: metrics.colour_drift(frames),
        "contrast drift": lambda: metrics.contrast_drift(frames),
        "sharpness drift": lambda: metrics.sharpness_drift(frames),
        "frozen tail": lambda: metrics.frozen_tail(frames),
        "repetition": lambda: metrics.repetition(frames, PERIOD),
        "grayness": lambda: metrics.grayness(frames),
        "motion histograms": lambda: metrics.motion_histograms(flow.raft),
    }
    parts = {"RAFT": raft_and_dis - dis, "DIS": dis, "camera fit": fit}
    parts |= {name: timed(it)[1] for name, it in work.items()}
    labels = {"phase": "real", "step": 0, "clip_id": "clip", "seed": 0}
    _, measuring = timed(lambda: measure(frames, flow, frames[0], PERIOD, **labels))  # type: ignore[arg-type]
    return parts, dis + measuring + parts["motion histograms"]


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """The result, and the seconds that it took: of the processor, or past a GPU's clock."""
    clock = time.process_time if best_device().type == "cpu" else time.perf_counter
    start = clock()
    result = work()
    return result, clock() - start


if __name__ == "__main__":
    main()
