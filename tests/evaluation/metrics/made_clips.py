"""Clips and flows whose metrics can be worked out by hand."""

from dataclasses import replace

import numpy as np

from exvideo.world import Layer, RenderedClip, WorldClip, render_clip

SIZE = 64
FPS = 8.0

STILL_WORLD = WorldClip(
    photograph="coffee", centre=(0.5, 0.5), view=0.4, pan=0j, growth=0j, layers=(),
    light_angle=0.0, light_strength=0.0,
)  # fmt: skip


def uniform_flow(velocities: list[tuple[float, float]], size: int = 8) -> np.ndarray:
    """Every pixel moves alike: [T-1, 2, size, size]."""
    flow = np.array(velocities, np.float32)[:, :, None, None]
    return np.tile(flow, (1, 1, size, size))


def everywhere(flow: np.ndarray) -> np.ndarray:
    """Every pixel is seen in both frames."""
    return np.ones((len(flow), *flow.shape[2:]), bool)


def scrolled(texture: np.ndarray, steps: list[tuple[int, int]]) -> np.ndarray:
    """The texture moved by whole pixels (x, y) from frame to frame, wrapping around."""
    places = np.cumsum([(0, 0), *steps], axis=0)
    return np.stack([np.roll(texture, (y, x), axis=(0, 1)) for x, y in places])


def panned(speed: float, frames: int, layers: tuple[Layer, ...] = ()) -> RenderedClip:
    """A photograph that moves to the left by `speed` pixels a frame, with layers before it."""
    pan = complex(speed / SIZE * FPS)
    return render_clip(replace(STILL_WORLD, pan=pan, layers=layers), frames, SIZE, SIZE, FPS)


def zoomed(rate: float, frames: int) -> RenderedClip:
    """A photograph whose scale grows by exp(rate) from frame to frame."""
    return render_clip(replace(STILL_WORLD, growth=complex(-rate * FPS)), frames, SIZE, SIZE, FPS)


def layer(x: float, speed: float) -> Layer:
    """A blob that goes down by `speed` pixels a frame."""
    return Layer(
        photograph="brick", centre=(0.5, 0.5), view=0.5, radius=0.15, lobes=3, lobe_depth=0.1,
        position=complex(x, -0.2), velocity=1j * speed / SIZE * FPS, spin=0.0,
    )  # fmt: skip


PARALLAX = (layer(-0.2, 1.5), layer(0.2, 2.5))


def there_and_back(clip: RenderedClip) -> tuple[np.ndarray, np.ndarray]:
    """The clip's first two frames in turn, as often as it has frames, and their flow."""
    frames = clip.frames[np.arange(len(clip.frames)) % 2]
    turn = np.where(np.arange(len(clip.flow)) % 2, -1, 1)[:, None, None, None]
    return frames, clip.flow[:1] * turn.astype(np.float32)


def noisy(frames: np.ndarray, deviation: float, seed: int = 0) -> np.ndarray:
    """With noise of its own for each pixel and frame, in grey levels."""
    noise = np.random.default_rng(seed).normal(0, deviation, frames.shape)
    return np.clip(np.rint(frames + noise), 0, 255).astype(np.uint8)
