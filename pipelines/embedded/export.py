"""Write trained models into `exvideo/weights`, in half precision.

python -m pipelines.embedded.export --vae RUN --base RUN --raft RUN     (any of them)

Takes the averaged weights of the runs' states, finished or not.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from diffusers.models import AutoencoderKLTemporalDecoder
from safetensors.torch import save_file
from torch import nn
from torchvision.models.optical_flow import raft_small

from pipelines.embedded.svd_parts import assemble, build_unet, save_image_encoder
from pipelines.embedded.train_vae import build_vae, scaling_factor

WEIGHTS = Path(__file__).parents[2] / "exvideo" / "weights"


def averaged(model: nn.Module, run: Path) -> int:
    """Load a run's averaged weights into the model; returns the run's step."""
    state = torch.load(run / "state.pt", map_location="cpu", weights_only=True)
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    if parameters.keys() != state["ema"].keys():
        raise ValueError(f"{run} holds another model's state: its parameters have other names")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(state["ema"][name])
    model.eval()
    return int(state["step"])


def export_vae(run: Path, folder: Path) -> int:
    vae = build_vae()
    step = averaged(vae, run)
    vae.register_to_config(scaling_factor=scaling_factor(vae))
    vae.half().save_pretrained(folder / "vae")
    return step


def export_base(run: Path, folder: Path) -> int:
    """The U-Net and all that completes diffusers' folder; the VAE must be there already."""
    unet = build_unet()
    step = averaged(unet, run)
    unet.half().save_pretrained(folder / "unet")
    save_image_encoder(folder)
    vae = AutoencoderKLTemporalDecoder.from_pretrained(folder / "vae")
    pipeline: Any = assemble(unet, vae, folder)
    pipeline.save_config(folder)
    pipeline.scheduler.save_pretrained(folder / "scheduler")
    return step


def export_raft(run: Path, folder: Path) -> int:
    network = raft_small(weights=None)
    step = averaged(network, run)
    half = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    save_file(half, folder / "raft_small.safetensors")
    return step


def main() -> None:
    parser = argparse.ArgumentParser(description="Write trained models into exvideo/weights.")
    parser.add_argument("--vae", type=Path)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--raft", type=Path)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    options.weights.mkdir(parents=True, exist_ok=True)
    steps = {}
    if options.vae:
        steps["vae"] = export_vae(options.vae, options.weights / "tiny_svd")
    if options.base:
        steps["base"] = export_base(options.base, options.weights / "tiny_svd")
    if options.raft:
        steps["raft"] = export_raft(options.raft, options.weights)
    print(json.dumps(steps))


if __name__ == "__main__":
    main()
