"""Measure the embedded VAE (PSNR, flicker) and RAFT-small (end-point error) on held-out data.

python -m pipelines.embedded.measure_parts [--vae FOLDER] [--raft FILE] [--pairs 64] [--frames 24]
"""

import argparse
import json
from pathlib import Path

from diffusers.models import AutoencoderKLTemporalDecoder

from exvideo.config import FlowConfig
from exvideo.evaluation.flow import load_raft
from pipelines.embedded.train_raft import ITERATIONS, end_point_errors
from pipelines.embedded.train_temporal_decoder import clip_figures
from pipelines.embedded.train_vae import held_out_psnr


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the embedded VAE and RAFT-small.")
    parser.add_argument("--vae", type=Path)
    parser.add_argument("--raft", type=Path)
    parser.add_argument("--pairs", type=int, default=64, help="held-out pairs of frames")
    parser.add_argument("--frames", type=int, default=24, help="frames of each held-out clip")
    options = parser.parse_args()
    figures: dict[str, float] = {}
    if options.vae:
        vae = AutoencoderKLTemporalDecoder.from_pretrained(options.vae).eval()
        figures |= held_out_psnr(vae, options.frames) | clip_figures(vae)
    if options.raft:
        config = FlowConfig(model="raft_small", weights=str(options.raft), iterations=ITERATIONS)
        figures |= end_point_errors(load_raft(config), options.pairs)
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}, indent=1))


if __name__ == "__main__":
    main()
