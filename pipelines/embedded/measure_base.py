"""Measure the embedded base at its native length: does motion follow its bucket, is it smooth?

python -m pipelines.embedded.measure_base --model exvideo/weights/tiny_svd --flow FILE [--frames 16]

First frames are those of held-out clips of the small world, and each clip's own motion bucket is
asked for. The data's figures are those clips' own, after a pass through the same VAE, with the same
flow estimator.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from exvideo.config import FlowConfig, PretrainedBase
from exvideo.evaluation.flow import dis_flow, load_raft
from exvideo.evaluation.metrics import flow_speed, jitter, psnr
from exvideo.generation.image_to_video import Sampling, decode, image_to_video
from exvideo.latents.encode import posterior_means, to_pixels
from exvideo.models import load_pipeline
from exvideo.world import HELD_OUT_PHOTOGRAPHS, motion_bucket_id, random_spec, render_clip
from pipelines.embedded.train_raft import ITERATIONS

FPS = 24


def spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Rank correlation, ties at their mean rank."""
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    below = (values[None, :] < values[:, None]).sum(axis=1)
    equal = (values[None, :] == values[:, None]).sum(axis=1)
    return below + 0.5 * (equal - 1.0)


@torch.inference_mode()
def through_vae(pipeline: Any, frames: NDArray[np.uint8]) -> NDArray:
    """The clip as the VAE gives it back."""
    latents = posterior_means(to_pixels(torch.from_numpy(frames)), pipeline.vae)
    return decode(pipeline, latents[None] * pipeline.vae.config.scaling_factor, Sampling())


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the embedded base model.")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--flow", type=str, default="exvideo/weights/raft_small.safetensors")
    parser.add_argument("--frames", type=int, default=16, help="held-out first frames")
    parser.add_argument("--steps", type=int, default=8, help="of the sampler")
    options = parser.parse_args()
    pipeline: Any = load_pipeline(PretrainedBase(kind="pretrained", path=str(options.model)))
    size = pipeline.vae.config.sample_size
    length = pipeline.unet.config.num_frames
    raft = load_raft(FlowConfig(model="raft_small", weights=options.flow, iterations=ITERATIONS))
    estimators: dict[str, Callable[[np.ndarray], np.ndarray]] = {"raft": raft, "dis": dis_flow}

    asked, speeds, generated, data, fidelity = [], [], [], [], []
    for seed in range(options.frames):
        clip = render_clip(
            random_spec(seed, HELD_OUT_PHOTOGRAPHS, fps=FPS), length, size, size, FPS
        )
        rebuilt = through_vae(pipeline, clip.frames)
        data.append({name: jitter(flow(rebuilt)) for name, flow in estimators.items()})
        bucket = motion_bucket_id(clip.speed, size)
        sampling = Sampling(
            steps=options.steps,
            guidance=(1.0, 1.0),
            fps=FPS,
            motion_bucket_id=bucket,
            seed=seed,
        )
        frames = image_to_video(pipeline, clip.frames[0], num_frames=length, sampling=sampling)
        flows = {name: flow(frames) for name, flow in estimators.items()}
        asked.append(bucket)
        speeds.append({name: float(flow_speed(f).mean()) for name, f in flows.items()})
        generated.append({name: jitter(f) for name, f in flows.items()})
        fidelity.append(psnr(frames[0], clip.frames[0]))
    figures = {"clips": options.frames, "first_frame_psnr": float(np.mean(fidelity))}
    for name in estimators:
        speed = np.array([s[name] for s in speeds])
        mine, theirs = (np.array([row[name] for row in rows]) for rows in (generated, data))
        figures[f"spearman_speed_bucket_{name}"] = spearman(np.array(asked, float), speed)
        figures[f"jitter_{name}"] = float(np.nanmean(mine))
        figures[f"jitter_stderr_{name}"] = float(np.nanstd(mine) / np.sqrt(len(mine)))
        figures[f"jitter_of_data_{name}"] = float(np.nanmean(theirs))
        figures[f"jitter_ratio_{name}"] = float(np.nanmean(mine) / np.nanmean(theirs))
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}, indent=1))


if __name__ == "__main__":
    main()
