"""Train the embedded VAE on frames of the small world and of real clips.

python -m pipelines.embedded.train_vae --run RUN     (resumes; leaves RUN/vae in diffusers' layout)

With `--decoder-of FOLDER` the encoder is that VAE's and stays as it is, so that latents and models
of them keep their meaning while the decoder gets better.

The spatial weights are trained on single frames. The temporal decoder's own layers stay where they
change nothing: zero-initialised residual branches and an identity at the output. In training they
are left out; `train_temporal_decoder` trains them afterwards, and anew after a change here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models import AutoencoderKLTemporalDecoder
from diffusers.models.resnet import SpatioTemporalResBlock, TemporalResnetBlock
from numpy.typing import NDArray
from torch import nn

from exvideo.latents.encode import to_pixels
from exvideo.world import HELD_OUT_PHOTOGRAPHS, TRAIN_PHOTOGRAPHS, random_spec, render_clip
from pipelines.embedded.real_frames import centre_square, random_square, real_frames
from pipelines.embedded.svd_parts import start_residuals_at_zero
from pipelines.embedded.training_run import TrainingRun, arguments, autocast

SIZE = 64
LATENT_CHANNELS = 4
BATCH = 8
REAL_PER_BATCH = 4
L1_WEIGHT = 0.05
KL_WEIGHT = 3e-5


def build_vae() -> AutoencoderKLTemporalDecoder:
    """The embedded VAE with random weights: factor 4, latents [4, 16, 16] for 64 px.

    diffusers normalises in 32 groups. At 32 channels that would take away each channel's mean and
    contrast, and with them the picture's; from two channels a group on, they survive.
    """
    vae = AutoencoderKLTemporalDecoder(
        block_out_channels=(64, 96, 128),
        down_block_types=("DownEncoderBlock2D",) * 3,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        sample_size=SIZE,
        scaling_factor=1.0,
        force_upcast=True,
    )
    start_residuals_at_zero(vae)
    with torch.no_grad():
        for block in vae.modules():
            if isinstance(block, TemporalResnetBlock):
                block.requires_grad_(False)
        # The posterior starts sharp: at a variance of one, its noise would drown the latents.
        vae.quant_conv.weight[LATENT_CHANNELS:].zero_()
        vae.quant_conv.bias[LATENT_CHANNELS:].fill_(-6.0)
        out = vae.decoder.time_conv_out.requires_grad_(False)
        out.weight.zero_()
        out.weight[:, :, 1, 0, 0] = torch.eye(3)
        out.bias.zero_()
    for name, parameter in vae.decoder.named_parameters():
        if name.endswith("mix_factor"):
            parameter.requires_grad_(False)  # without effect while both branches agree
    return vae


def spatial_weights(vae: AutoencoderKLTemporalDecoder) -> dict[str, torch.Tensor]:
    """All of a VAE's tensors but those of the decoder's temporal layers."""
    temporal = ("temporal_res_block", "time_conv_out", "time_mixer")
    state = vae.state_dict()
    return {name: state[name] for name in state if not any(part in name for part in temporal)}


class _Unchanged(nn.Module):
    def forward(self, hidden_states: torch.Tensor, *_: object) -> torch.Tensor:
        return hidden_states


@contextmanager
def without_temporal_layers(vae: AutoencoderKLTemporalDecoder) -> Iterator[None]:
    """Leave out the layers of `build_vae` that change nothing: a sixth of a training step."""
    decoder: Any = vae.decoder
    blocks = [m for m in decoder.modules() if isinstance(m, SpatioTemporalResBlock)]
    kept = [block.temporal_res_block for block in blocks]
    out = decoder.time_conv_out
    for block in blocks:
        block.set_submodule("temporal_res_block", _Unchanged())
    decoder.time_conv_out = _Unchanged()
    try:
        yield
    finally:
        decoder.time_conv_out = out
        for block, temporal in zip(blocks, kept, strict=True):
            block.temporal_res_block = temporal


def training_frames(rng: np.random.Generator) -> torch.Tensor:
    """A batch [BATCH, 3, SIZE, SIZE]."""
    real = [frame for clip in real_frames(held_out=False).values() for frame in clip]
    frames = [
        random_square(real[rng.integers(len(real))], SIZE, rng) for _ in range(REAL_PER_BATCH)
    ]
    for seed in rng.integers(2**31, size=BATCH - REAL_PER_BATCH):
        spec = random_spec(int(seed), TRAIN_PHOTOGRAPHS)
        frames.append(render_clip(spec, 1, SIZE, SIZE).frames[0])
    pixels = to_pixels(torch.from_numpy(np.stack(frames)))
    pixels = torch.stack([recolour(frame, rng) for frame in pixels])
    return pixels.flip(-1) if rng.random() < 0.5 else pixels


def recolour(pixels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Exchange and strengthen the colours of [..., 3, H, W], change light and contrast.

    Half the photographs are grey: the tint and the stronger colours make up for it.
    """
    if rng.random() < 0.3:
        pixels = pixels.index_select(-3, torch.from_numpy(rng.permutation(3)))
    grey = pixels.mean(dim=-3, keepdim=True)
    tint = torch.from_numpy(rng.normal(0.0, 0.05, (3, 1, 1)).astype(np.float32))
    pixels = grey + rng.uniform(0.8, 1.5) * (pixels - grey) + tint
    return (pixels * rng.uniform(0.8, 1.1)).clamp(-1.0, 1.0)


def reconstruction_loss(vae: AutoencoderKLTemporalDecoder, pixels: torch.Tensor) -> torch.Tensor:
    """Squared error, a little absolute error and a mild KL; means over pixels, latent elements."""
    with autocast():
        posterior = vae.encode(pixels).latent_dist
        decoded = vae.decode(posterior.sample(), num_frames=1).sample
    error = decoded.float() - pixels
    kl = 0.5 * (posterior.mean**2 + posterior.var - 1.0 - posterior.logvar).float().mean()
    # Squared error first: absolute error alone settles for grey before it learns colour.
    return error.square().mean() + L1_WEIGHT * error.abs().mean() + KL_WEIGHT * kl


@torch.no_grad()
def psnr(vae: AutoencoderKLTemporalDecoder, frames: NDArray[np.uint8]) -> float:
    """Mean over frames of the PSNR (dB, of 8-bit values) of decode(encode(frame).mode())."""
    values = []
    for chunk in np.array_split(frames, max(1, len(frames) // 16)):
        latents = vae.encode(to_pixels(torch.from_numpy(chunk))).latent_dist.mode()
        decoded = vae.decode(latents, num_frames=1).sample
        rebuilt = ((decoded + 1.0) * 127.5).round().clamp(0, 255)
        target = torch.from_numpy(chunk).permute(0, 3, 1, 2).float()
        mse = (rebuilt - target).pow(2).mean(dim=(1, 2, 3)).clamp_min(1e-6)
        values.append(10.0 * torch.log10(255.0**2 / mse))
    return float(torch.cat(values).mean())


def held_out_psnr(vae: AutoencoderKLTemporalDecoder, per_clip: int = 24) -> dict[str, float]:
    """PSNR on frames of each held-out real clip and on the held-out photographs."""
    figures = {}
    for name, clip in real_frames(held_out=True).items():
        chosen = clip[:: max(1, len(clip) // per_clip)][:per_clip]
        figures[f"psnr_{name}"] = psnr(vae, np.stack([centre_square(f, SIZE) for f in chosen]))
    figures["psnr_real"] = float(np.mean(list(figures.values())))
    specs = [random_spec(seed, HELD_OUT_PHOTOGRAPHS) for seed in range(per_clip)]
    rendered = np.stack([render_clip(spec, 1, SIZE, SIZE).frames[0] for spec in specs])
    figures["psnr_held_out_photographs"] = psnr(vae, rendered)
    return figures


@torch.no_grad()
def scaling_factor(vae: AutoencoderKLTemporalDecoder) -> float:
    """1 / standard deviation of the latents over 512 frames of training photographs, rounded."""
    specs = [random_spec(seed, TRAIN_PHOTOGRAPHS) for seed in range(512)]
    frames = np.stack([render_clip(spec, 1, SIZE, SIZE).frames[0] for spec in specs])
    chunks = to_pixels(torch.from_numpy(frames)).chunk(16)
    latents = [vae.encode(chunk).latent_dist.mode() for chunk in chunks]
    return round(1.0 / float(torch.cat(latents).std()), 4)


def main() -> None:
    parser = arguments("Train the embedded VAE.", steps=5000, learning_rate=5e-4)
    parser.add_argument("--decoder-of", type=Path, help="a VAE whose encoder is kept")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    vae = build_vae()
    if options.decoder_of:
        start = AutoencoderKLTemporalDecoder.from_pretrained(options.decoder_of)
        vae.load_state_dict(spatial_weights(start), strict=False)
        vae.register_to_config(scaling_factor=start.config.scaling_factor)
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
    run = TrainingRun(vae, options, ema_decay=0.999)

    with without_temporal_layers(vae):
        run.train(
            lambda step, rng: training_frames(rng),
            lambda pixels: reconstruction_loss(vae, pixels),
            lambda: held_out_psnr(vae),
            measure_every=500,
        )
    with run.averaged_weights():
        if not options.decoder_of:
            vae.register_to_config(scaling_factor=scaling_factor(vae))
        vae.save_pretrained(options.run / "vae")
        run.log(**held_out_psnr(vae))


if __name__ == "__main__":
    main()
