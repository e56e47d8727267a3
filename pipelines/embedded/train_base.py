"""Train the embedded Stable Video Diffusion's U-Net from scratch at its native length.

python -m pipelines.embedded.train_base --run RUN --pool POOL --vae FOLDER
(resumes; leaves RUN/unet in diffusers' layout)

SVD's own objective and conditions, from `exvideo.training.objective`.
"""

from pathlib import Path

import numpy as np
import torch
from diffusers.models import AutoencoderKLTemporalDecoder
from torch.nn.attention import SDPBackend, sdpa_kernel

from exvideo.config import SigmaConfig
from exvideo.training.objective import Batch, Draw, draw, make_batch, v_loss
from pipelines.embedded.latent_pool import AUGMENTATIONS, VALIDATION_CLIPS, load_pool
from pipelines.embedded.svd_parts import NATIVE_FRAMES, build_unet
from pipelines.embedded.training_run import TrainingRun, arguments, autocast

BATCH = 4
# 16x16 latents hold less redundancy than SVD's 72x128: less noise hides as much of them.
SIGMA = SigmaConfig(mean=0.5, std=1.4)
CONDITION_DROPOUT = 0.1
RELOAD_EVERY = 500  # steps after which clips that were encoded meanwhile join


def main() -> None:
    parser = arguments("Train the embedded base model.", steps=14000, learning_rate=1e-3)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--vae", type=Path, required=True, help="that the pool was made with")
    parser.add_argument("--start", type=Path, help="a U-Net's folder to go on from")
    options = parser.parse_args()
    scaling_factor = float(AutoencoderKLTemporalDecoder.load_config(options.vae)["scaling_factor"])
    unet = build_unet(options.seed)
    if options.start:
        unet.load_state_dict(type(unet).from_pretrained(options.start).state_dict())
    run = TrainingRun(unet, options, ema_decay=0.998)
    pool: dict[str, torch.Tensor] = {}

    def samples(step: int, rng: np.random.Generator, clips: range) -> Batch:
        numbers = [int(rng.choice(clips)) for _ in range(BATCH)]
        chosen = [{name: stack[number] for name, stack in pool.items()} for number in numbers]
        shape = (NATIVE_FRAMES, *pool["latents"].shape[2:])
        draws: list[Draw] = [
            draw(options.seed, step * BATCH + i, shape, AUGMENTATIONS, SIGMA, CONDITION_DROPOUT)
            for i in range(BATCH)
        ]
        return make_batch(chosen, draws, scaling_factor)

    def batch(step: int, rng: np.random.Generator) -> Batch:
        if not pool or step % RELOAD_EVERY == 0:
            pool.update(load_pool(options.pool))
        return samples(step, rng, range(VALIDATION_CLIPS, len(pool["latents"])))

    def loss(batch: Batch) -> torch.Tensor:
        # The plain attention is faster than the fused one on sequences of 8 and of 64 tokens.
        with autocast(), sdpa_kernel(SDPBackend.MATH):
            return v_loss(unet, batch).mean()

    @torch.no_grad()
    def validation() -> dict[str, float]:
        losses = [
            float(loss(samples(step, np.random.default_rng(step), range(VALIDATION_CLIPS))))
            for step in range(8)
        ]
        return {"validation_loss": float(np.mean(losses))}

    run.train(batch, loss, validation, measure_every=500)
    with run.averaged_weights():
        unet.save_pretrained(options.run / "unet")


if __name__ == "__main__":
    main()
