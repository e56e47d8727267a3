"""Train RAFT-small on the small world's exact flow.

python -m pipelines.embedded.train_raft --run RUN     (resumes; leaves RUN/raft_small.safetensors)

The pairs are enlarged to 256x256, half of them from 128x128 and half from the tiny preset's 64x64,
and cropped. `exvideo.evaluation.flow` enlarges more: what is learned here is still finer there.
"""

from collections.abc import Mapping

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch.nn.functional import interpolate
from torchvision.models.optical_flow import RAFT, raft_small

from exvideo.evaluation.flow import Raft, dis_flow
from exvideo.latents.encode import to_pixels
from exvideo.world import (
    HELD_OUT_PHOTOGRAPHS,
    TRAIN_PHOTOGRAPHS,
    RenderedClip,
    random_spec,
    render_clip,
)
from pipelines.embedded.training_run import TrainingRun, arguments, autocast

SIZE = 128
ENLARGED = 256
CROP = 160
BATCH = 3
ITERATIONS = 5
GAMMA = 0.8  # weight of an iteration's error relative to the next one's (RAFT, equation 7)
MAX_DISPLACEMENT = 8.0


def training_pair(seed: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """(frames [2, 3, CROP, CROP] in [-1, 1], flow [2, CROP, CROP] in px of the enlarged frames)."""
    spec = random_spec(seed, TRAIN_PHOTOGRAPHS, speed=float(rng.uniform(0.0, 0.045)), free=True)
    size = SIZE if rng.random() < 0.5 else SIZE // 2
    clip = render_clip(spec, 2, size, size)
    pixels = _disturb(to_pixels(torch.from_numpy(clip.frames)), rng)
    frames = interpolate(pixels, ENLARGED, mode="bicubic")
    flow = interpolate(torch.from_numpy(clip.flow), ENLARGED, mode="bilinear") * (ENLARGED / size)
    top, left = (int(start) for start in rng.integers(ENLARGED - CROP + 1, size=2))
    window = (..., slice(top, top + CROP), slice(left, left + CROP))
    return frames[window], flow[0][window]


def _disturb(frames: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Other colours for both frames; a little light, blur and noise for each."""
    frames = frames[:, torch.from_numpy(rng.permutation(3))] * float(rng.uniform(0.6, 1.1))
    changed = []
    for frame in frames:
        frame = frame * float(rng.uniform(0.97, 1.03)) + float(rng.uniform(-0.03, 0.03))
        if rng.random() < 0.3:
            blurred = cv2.GaussianBlur(
                frame.numpy().transpose(1, 2, 0), (5, 5), rng.uniform(0.3, 1.2)
            )
            frame = torch.from_numpy(blurred.transpose(2, 0, 1).copy())
        noise = rng.standard_normal(frame.shape, dtype=np.float32) * rng.uniform(0.0, 0.04)
        changed.append(frame + torch.from_numpy(noise.astype(np.float32)))
    return torch.stack(changed).clamp(-1.0, 1.0)


def training_batch(rng: np.random.Generator) -> Mapping[str, torch.Tensor]:
    pairs = [training_pair(int(seed), rng) for seed in rng.integers(2**31, size=BATCH)]
    frames, flow = torch.stack([p[0] for p in pairs]), torch.stack([p[1] for p in pairs])
    # Mirrored, the horizontal flow changes its sign.
    if rng.random() < 0.5:
        frames, flow = frames.flip(-1), flow.flip(-1) * torch.tensor([-1.0, 1.0])[:, None, None]
    return {"frames": frames, "flow": flow}


def sequence_loss(network: RAFT, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """L1 error of every iteration's flow, the later ones weighing more."""
    with autocast():
        estimates = network(batch["frames"][:, 0], batch["frames"][:, 1], ITERATIONS)
    errors = [(flow.float() - batch["flow"]).abs().mean() for flow in estimates]
    weights = [GAMMA ** (len(errors) - 1 - i) for i in range(len(errors))]
    return torch.stack([w * e for w, e in zip(weights, errors, strict=True)]).sum()


def held_out_pairs(count: int) -> list[RenderedClip]:
    """Pairs at SIZE over held-out photographs, no pixel of which moves more than 8 px."""
    pairs: list[RenderedClip] = []
    seed = 0
    while len(pairs) < count:
        speed = float(np.random.default_rng(seed).uniform(0.002, 0.05))
        spec = random_spec(seed, HELD_OUT_PHOTOGRAPHS, speed=speed, free=True)
        clip = render_clip(spec, 2, SIZE, SIZE)
        if np.hypot(clip.flow[:, 0], clip.flow[:, 1]).max() <= MAX_DISPLACEMENT:
            pairs.append(clip)
        seed += 1
    return pairs


def end_point_errors(raft: Raft, count: int) -> dict[str, float]:
    """Mean end-point error (px) of RAFT and of DIS on the same held-out pairs.

    `all` counts every pixel, `seen` those visible in both frames. The standard error is over pairs.
    """
    figures: dict[str, list[float]] = {}
    for pair in held_out_pairs(count):
        for name, estimate in (("raft", raft(pair.frames)), ("dis", dis_flow(pair.frames))):
            error = _distance(estimate, pair.flow)
            figures.setdefault(f"{name}_epe_all", []).append(float(error.mean()))
            figures.setdefault(f"{name}_epe_seen", []).append(float(error[pair.valid].mean()))
        figures.setdefault("displacement", []).append(pair.speed)
    means = {name: float(np.mean(values)) for name, values in figures.items()}
    means["raft_epe_all_stderr"] = float(np.std(figures["raft_epe_all"]) / np.sqrt(count))
    return means


def _distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.hypot(a[:, 0] - b[:, 0], a[:, 1] - b[:, 1])


def main() -> None:
    parser = arguments("Train RAFT-small.", steps=14000, learning_rate=4e-4)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    network = raft_small(weights=None)
    estimator = Raft(network, ITERATIONS, "raft_small")
    run = TrainingRun(network, options, ema_decay=0.999)
    run.train(
        lambda step, rng: training_batch(rng),
        lambda batch: sequence_loss(network, batch),
        lambda: end_point_errors(estimator, 16),
        measure_every=1000,
    )
    with run.averaged_weights():
        save_file(network.state_dict(), options.run / "raft_small.safetensors")
        run.log(**end_point_errors(estimator, 64))


if __name__ == "__main__":
    main()
