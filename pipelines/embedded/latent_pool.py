"""Render clips of the small world and encode them once, for the base model's training.

python -m pipelines.embedded.latent_pool --vae RUN/vae --image-encoder DIR --out POOL [--clips 1000]

A clip of 16 frames gives the base's 8-frame windows at several starts. Chunks of clips are files of
their own, so that a pool which was cut off goes on, and training may begin before it is complete.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from diffusers.models import AutoencoderKLTemporalDecoder
from safetensors.torch import load_file, save_file
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from exvideo.latents.encode import draw_noise, image_embeds, posterior_means, to_pixels
from exvideo.world import (
    HELD_OUT_PHOTOGRAPHS,
    TRAIN_PHOTOGRAPHS,
    motion_bucket_id,
    random_spec,
    render_clip,
)
from pipelines.embedded.svd_parts import NATIVE_FRAMES
from pipelines.embedded.train_vae import SIZE, recolour

FRAMES = 16
STARTS = (0, 4, 8)
FPS = (8, 12, 24, 30)
CLIPS_PER_FILE = 40
VALIDATION_CLIPS = 40
"""The first ones show photographs that training never sees."""

Tensors = dict[str, torch.Tensor]


class PoolEncoder:
    """The frozen parts that turn frames into what the U-Net is trained on."""

    def __init__(self, vae: Path, image_encoder: Path) -> None:
        self.vae = AutoencoderKLTemporalDecoder.from_pretrained(vae).eval()
        self.image_encoder = CLIPVisionModelWithProjection.from_pretrained(image_encoder).eval()
        self.processor = CLIPImageProcessor.from_pretrained(
            image_encoder.with_name("feature_extractor")
        )

    @torch.inference_mode()
    def clip(self, seed: int) -> Tensors:
        """Latents of one clip, and the conditions of each of its windows."""
        rng = np.random.default_rng((seed, 1))
        fps = float(rng.choice(FPS))
        held_out = seed < VALIDATION_CLIPS
        photographs = HELD_OUT_PHOTOGRAPHS if held_out else TRAIN_PHOTOGRAPHS
        spec = random_spec(seed, photographs, fps=fps)
        rendered = render_clip(spec, FRAMES, SIZE, SIZE, fps)
        speed = np.hypot(rendered.flow[:, 0], rendered.flow[:, 1]).mean(axis=(1, 2))
        pixels = recolour(to_pixels(torch.from_numpy(rendered.frames)), rng)
        firsts = pixels[list(STARTS)]
        strengths, noise = draw_noise(f"pool-{seed}", len(STARTS), tuple(firsts.shape[1:]))
        noised = firsts + strengths[:, None, None, None] * noise
        means = posterior_means(torch.cat([pixels, noised]), self.vae).half()
        buckets = [
            motion_bucket_id(float(speed[s : s + NATIVE_FRAMES - 1].mean()), SIZE) for s in STARTS
        ]
        return {
            "latents": means[:FRAMES].contiguous(),
            "cond_latents": means[FRAMES:].contiguous(),
            "noise_aug_strengths": strengths,
            "image_embeds": image_embeds(firsts, self.image_encoder, self.processor),
            "motion_bucket_id": torch.tensor(buckets, dtype=torch.float32),
            "fps": torch.tensor(fps),
        }


def load_pool(folder: Path) -> Tensors:
    """All clips so far: every tensor of `PoolEncoder.clip` with the clips in front."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(f"no latents in {folder}: run pipelines.embedded.latent_pool first")
    chunks = [load_file(file) for file in files]
    return {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}


def sample(pool: Mapping[str, torch.Tensor], clip: int, start: int) -> Tensors:
    """One training sample in the form that `exvideo.training.objective.make_batch` takes."""
    return {
        "latents": pool["latents"][clip, STARTS[start] : STARTS[start] + NATIVE_FRAMES],
        "cond_latents": pool["cond_latents"][clip, start : start + 1],
        "noise_aug_strengths": pool["noise_aug_strengths"][clip, start : start + 1],
        "image_embeds": pool["image_embeds"][clip, start],
        "motion_bucket_id": pool["motion_bucket_id"][clip, start],
        "fps": pool["fps"][clip],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Encode clips of the small world.")
    parser.add_argument("--vae", type=Path, required=True)
    parser.add_argument("--image-encoder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=2000)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    encoder = PoolEncoder(options.vae, options.image_encoder)
    for start in range(0, options.clips, CLIPS_PER_FILE):
        file = options.out / f"{start:06d}.safetensors"
        if file.exists():
            continue
        clips = [encoder.clip(seed) for seed in range(start, start + CLIPS_PER_FILE)]
        stacked = {name: torch.stack([clip[name] for clip in clips]) for name in clips[0]}
        part = file.with_suffix(".part")
        save_file(stacked, part)
        part.replace(file)
        print(f"{start + CLIPS_PER_FILE} clips", flush=True)


if __name__ == "__main__":
    main()
