"""Train the temporal layers of the embedded VAE's decoder, as SVD's were: against flicker.

python -m pipelines.embedded.train_temporal_decoder --run RUN --vae FOLDER     (resumes)

Everything else stays as it is, so latents and models of them keep their meaning. The latents that
it learns from carry some noise, since those that a U-Net makes are never quite clean.
"""

from pathlib import Path

import numpy as np
import torch
from diffusers.models import AutoencoderKLTemporalDecoder
from diffusers.models.resnet import TemporalResnetBlock
from numpy.typing import NDArray

from exvideo.evaluation.flow import dis_flow
from exvideo.evaluation.metrics import jitter
from exvideo.latents.encode import posterior_means, to_pixels
from exvideo.world import HELD_OUT_PHOTOGRAPHS, TRAIN_PHOTOGRAPHS, random_spec, render_clip
from pipelines.embedded.real_frames import centre_square, random_square, real_frames
from pipelines.embedded.svd_parts import NATIVE_FRAMES
from pipelines.embedded.train_vae import L1_WEIGHT, SIZE, held_out_psnr, recolour
from pipelines.embedded.training_run import TrainingRun, arguments, autocast

BATCH = 2
FPS = (24, 12, 8)
LATENT_NOISE = 0.3
"""The strongest, in standard deviations of the latents."""
SINGLE_FRAMES = 0.2
"""Share of steps on frames alone, which the decoder must serve as well."""
CHANGE_WEIGHT = 1.0
"""Of the error of each frame's change to the next one."""

Frames = NDArray[np.uint8]


def freeze_all_but_temporal_layers(vae: AutoencoderKLTemporalDecoder) -> None:
    """Let nothing of the VAE be trained but its decoder's temporal layers and their shares."""
    vae.requires_grad_(False)
    for block in vae.decoder.modules():
        if isinstance(block, TemporalResnetBlock):
            block.requires_grad_(True)
    vae.decoder.time_conv_out.requires_grad_(True)
    for name, parameter in vae.decoder.named_parameters():
        if name.endswith("mix_factor"):
            parameter.requires_grad_(True)


def training_clip(rng: np.random.Generator) -> torch.Tensor:
    """[NATIVE_FRAMES, 3, SIZE, SIZE], half of them rendered, half of a real clip."""
    if rng.random() < 0.5:
        spec = random_spec(int(rng.integers(2**31)), TRAIN_PHOTOGRAPHS)
        frames = render_clip(spec, NATIVE_FRAMES, SIZE, SIZE, float(rng.choice(FPS))).frames
    else:
        clips = list(real_frames(held_out=False).values())
        clip = clips[rng.integers(len(clips))]
        first = int(rng.integers(len(clip) - NATIVE_FRAMES + 1))
        place = int(rng.integers(2**31))  # the same square of every frame
        frames = np.stack(
            [
                random_square(frame, SIZE, np.random.default_rng(place))
                for frame in clip[first : first + NATIVE_FRAMES]
            ]
        )
    pixels = recolour(to_pixels(torch.from_numpy(frames)), rng)
    return pixels.flip(0) if rng.random() < 0.5 else pixels


def decoding_loss(
    vae: AutoencoderKLTemporalDecoder, clips: torch.Tensor, rng: np.random.Generator
) -> torch.Tensor:
    """Error of the frames of `clips` [B, T, 3, SIZE, SIZE] and of their change over time."""
    frames = clips.flatten(0, 1)
    length = 1 if rng.random() < SINGLE_FRAMES else clips.shape[1]
    latents = posterior_means(frames, vae)
    strength = float(rng.uniform(0.0, LATENT_NOISE)) / float(vae.config["scaling_factor"])
    noisy = latents + strength * torch.randn_like(latents)
    with autocast():
        decoded = vae.decode(noisy, num_frames=length).sample
    error = decoded.float() - frames
    loss = error.square().mean() + L1_WEIGHT * error.abs().mean()
    if length == 1:
        return loss
    change = error.unflatten(0, clips.shape[:2]).diff(dim=1)
    return loss + CHANGE_WEIGHT * change.square().mean()


@torch.no_grad()
def decoded_clip(vae: AutoencoderKLTemporalDecoder, frames: Frames) -> Frames:
    """uint8 [T, H, W, 3], encoded and decoded as one clip."""
    latents = posterior_means(to_pixels(torch.from_numpy(frames)), vae)
    decoded = vae.decode(latents, num_frames=len(frames)).sample
    pixels = ((decoded.clamp(-1.0, 1.0) + 1.0) * 127.5).round().byte()
    return pixels.permute(0, 2, 3, 1).contiguous().numpy()


def held_out_clips(count: int = 6) -> list[Frames]:
    """32 frames each: the held-out real clip, and rendered ones over held-out photographs."""
    real = real_frames(held_out=True)["carphone_pristine"][:32]
    rendered = [
        render_clip(random_spec(seed, HELD_OUT_PHOTOGRAPHS), 32, SIZE, SIZE).frames
        for seed in range(count)
    ]
    return [np.stack([centre_square(frame, SIZE) for frame in real]), *rendered]


def clip_figures(vae: AutoencoderKLTemporalDecoder) -> dict[str, float]:
    """PSNR of held-out clips; jitter (DIS) of the rendered ones and of their decoding."""
    clips = held_out_clips()
    decoded = [decoded_clip(vae, clip) for clip in clips]
    mse = [
        ((a.astype(float) - b) ** 2).mean(axis=(1, 2, 3))
        for a, b in zip(clips, decoded, strict=True)
    ]
    return {
        "psnr_clips": float(np.mean(10.0 * np.log10(255.0**2 / np.concatenate(mse)))),
        "jitter": float(np.mean([jitter(dis_flow(clip)) for clip in clips[1:]])),
        "jitter_decoded": float(np.mean([jitter(dis_flow(clip)) for clip in decoded[1:]])),
    }


def main() -> None:
    parser = arguments("Train the decoder's temporal layers.", steps=2500, learning_rate=5e-4)
    parser.add_argument("--vae", type=Path, required=True, help="whose other layers are kept")
    options = parser.parse_args()
    vae = AutoencoderKLTemporalDecoder.from_pretrained(options.vae)
    freeze_all_but_temporal_layers(vae)
    run = TrainingRun(vae, options, ema_decay=0.998)
    run.train(
        lambda step, rng: (torch.stack([training_clip(rng) for _ in range(BATCH)]), rng),
        lambda batch: decoding_loss(vae, *batch),
        lambda: held_out_psnr(vae) | clip_figures(vae),
        measure_every=500,
    )
    with run.averaged_weights():
        vae.save_pretrained(options.run / "vae")


if __name__ == "__main__":
    main()
