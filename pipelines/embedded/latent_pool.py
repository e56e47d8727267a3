"""Render clips of the small world and encode them once, for the base model's training.

python -m pipelines.embedded.latent_pool --vae RUN/vae --image-encoder DIR --out POOL [--clips 1000]

Clips have the base's 8 frames, at 24, 12 or 8 a second: at few frames a second the base sees the
world's camera turn and come back. Chunks of clips are files of their own, so that a pool which was
cut off goes on, and training may begin before it is complete.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from diffusers.models import AutoencoderKLTemporalDecoder
from safetensors.torch import load_file, save_file
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from exvideo.latents.encode import draw_noise, image_embeds, posterior_means, to_pixels
from exvideo.world import (
    HELD_OUT_PHOTOGRAPHS,
    SPEED,
    TRAIN_PHOTOGRAPHS,
    motion_bucket_id,
    random_spec,
    render_clip,
)
from pipelines.embedded.svd_parts import NATIVE_FRAMES
from pipelines.embedded.train_vae import SIZE, recolour

FPS = (24, 12, 8)
SPEED_FPS = 24
"""At which `exvideo.world.SPEED` is meant."""
FASTEST = 0.03
"""Short sides a frame: what is faster would pass the last motion bucket."""
AUGMENTATIONS = 2
"""Noised first frames a clip, each with its own strength."""
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
        """One training sample in the form that `exvideo.training.objective.make_batch` takes."""
        rng = np.random.default_rng((seed, 1))
        photographs = HELD_OUT_PHOTOGRAPHS if seed < VALIDATION_CLIPS else TRAIN_PHOTOGRAPHS
        speed = float(rng.uniform(*SPEED))
        fps = float(rng.choice([fps for fps in FPS if speed * SPEED_FPS / fps < FASTEST]))
        spec = random_spec(seed, photographs, fps=SPEED_FPS, speed=speed)
        rendered = render_clip(spec, NATIVE_FRAMES, SIZE, SIZE, fps)
        pixels = recolour(to_pixels(torch.from_numpy(rendered.frames)), rng)
        strengths, noise = draw_noise(f"pool-{seed}", AUGMENTATIONS, tuple(pixels.shape[1:]))
        noised = pixels[0] + strengths[:, None, None, None] * noise
        means = posterior_means(torch.cat([pixels, noised]), self.vae).half()
        return {
            "latents": means[:NATIVE_FRAMES].contiguous(),
            "cond_latents": means[NATIVE_FRAMES:].contiguous(),
            "noise_aug_strengths": strengths,
            "image_embeds": image_embeds(pixels[:1], self.image_encoder, self.processor)[0],
            "motion_bucket_id": torch.tensor(float(motion_bucket_id(rendered.speed, SIZE))),
            "fps": torch.tensor(fps),
        }


def load_pool(folder: Path) -> Tensors:
    """All clips so far: every tensor of `PoolEncoder.clip` with the clips in front."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(f"no latents in {folder}: run pipelines.embedded.latent_pool first")
    chunks = [load_file(file) for file in files]
    return {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description="Encode clips of the small world.")
    parser.add_argument("--vae", type=Path, required=True)
    parser.add_argument("--image-encoder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=4000)
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
