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


def load_state(run: Path) -> dict[str, Any]:
    return torch.load(run / "state.pt", map_location="cpu", weights_only=True)


def load_averaged(model: nn.Module, state: dict[str, Any]) -> None:
    """Load what a run has trained, averaged, into the model; the rest stays as it is."""
    unknown = state["ema"].keys() - dict(model.named_parameters()).keys()
    if unknown:
        raise ValueError(f"the state is another model's: it has {sorted(unknown)[0]}")
    model.load_state_dict(state["ema"], strict=False)
    model.eval()


def export_vae(run: Path, folder: Path) -> int:
    state = load_state(run)
    vae = build_vae()
    if "quant_conv.weight" in state["ema"]:
        load_averaged(vae, state)
        vae.register_to_config(scaling_factor=scaling_factor(vae))
    else:  # the run has kept the encoder of the VAE that is there
        kept = AutoencoderKLTemporalDecoder.from_pretrained(folder / "vae")
        vae.load_state_dict(kept.state_dict())
        vae.register_to_config(scaling_factor=kept.config["scaling_factor"])
        load_averaged(vae, state)
    vae.half().save_pretrained(folder / "vae")
    return int(state["step"])


def export_base(run: Path, folder: Path) -> int:
    """The U-Net and all that completes diffusers' folder; the VAE must be there already."""
    state = load_state(run)
    unet = build_unet()
    load_averaged(unet, state)
    unet.half().save_pretrained(folder / "unet")
    save_image_encoder(folder)
    vae = AutoencoderKLTemporalDecoder.from_pretrained(folder / "vae")
    pipeline: Any = assemble(unet, vae, folder)
    pipeline.save_config(folder)
    pipeline.scheduler.save_pretrained(folder / "scheduler")
    return int(state["step"])


def export_raft(run: Path, folder: Path) -> int:
    state = load_state(run)
    network = raft_small(weights=None)
    load_averaged(network, state)
    half = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    save_file(half, folder / "raft_small.safetensors")
    return int(state["step"])


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
