"""A U-Net whose clip is shared out over processes: its prediction and its gradients."""

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import save_file

from exvideo.models import checkpoint_activations, configure_attention, extend
from exvideo.models.frame_parallel import FrameRanks, GroupRanks, share_frames
from exvideo.models.identity_conv import ConvKind
from exvideo.models.trainable import trainable_parameters
from tests.models.tiny import clip_inputs, randomise, tiny_unet

FRAMES, SIZE = 8, 6
"""Of 36 and 9 positions, four ranks have as many in one case, and one rank more in the other."""

PROCESSES = 4


def extended(conv: ConvKind, ranks: FrameRanks | None = None) -> torch.nn.Module:
    unet = tiny_unet(native_frames=4)
    extend(unet, FRAMES, conv=conv)
    randomise(unet)
    configure_attention(unet)
    if ranks is not None:
        share_frames(unet, ranks)
    checkpoint_activations(unet, "part" if conv == "dense" else "none")
    return unet.train()


def step(unet: torch.nn.Module, frames: slice) -> dict[str, torch.Tensor]:
    """The prediction of these frames and the gradients of their mean squared error."""
    sample, *others = clip_inputs(2, FRAMES, SIZE)
    target = sample[:, frames, :4].flip(-1)
    prediction = unet(sample[:, frames], *others).sample
    (prediction - target).square().mean().backward()
    gradients = {name: it.grad for name, it in trainable_parameters(unet).items()}
    return {"prediction": prediction.detach(), **gradients}


def main(process: int, folder: Path) -> None:
    """One of the processes; for each number of ranks the first group's result is written."""
    torch.set_num_threads(1)
    store = dist.FileStore(str(folder / "store"), PROCESSES)
    dist.init_process_group("gloo", store=store, rank=process, world_size=PROCESSES)
    for count in (2, 4):
        groups = [dist.new_group(range(it, it + count)) for it in range(0, PROCESSES, count)]
        group: Any = groups[process // count]
        ranks = GroupRanks(group)
        share = FRAMES // count
        frames = slice(ranks.index * share, (ranks.index + 1) * share)
        for conv in ("dense", "factorised"):
            found = step(extended(conv, ranks), frames)
            parts = [torch.empty_like(found["prediction"]) for _ in range(count)]
            dist.all_gather(parts, found.pop("prediction"), group=group)
            for gradient in found.values():
                dist.all_reduce(gradient, group=group)
                gradient /= count
            if process == 0:
                result = {**found, "prediction": torch.cat(parts, dim=1)}
                save_file(result, folder / f"{conv}-{count}.safetensors")
    dist.destroy_process_group()
