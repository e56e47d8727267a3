"""What is in a clip of the small world and how it moves.

Lengths are in units of the frame's short side (origin at the frame's centre, x right, y down),
so one spec renders at any size. Points are complex numbers x + iy: a similarity is then
z -> alpha z + beta, and a constant camera motion has a closed form.
"""

import cmath
import math
from dataclasses import dataclass, replace

import numpy as np

# 127, SVD's default, is then 1 px a frame at 64x64, and 255 is reached at 2 px a frame.
_BUCKETS_PER_SHORT_SIDE = 128.0 * 64.0
_MAX_BUCKET = 255

SPEED = (0.004, 0.0155)
"""Short sides a frame, of a clip that is not given its speed."""

SWING = 2 / 3
"""Seconds: at 24 frames a second a base of 8 frames sees the way out only. A longer clip, or one of
fewer frames a second, shows that the camera comes back."""


def motion_bucket_id(speed: float, short_side: int) -> int:
    """The motion bucket (0..255) of a clip whose mean flow magnitude is `speed` px a frame."""
    if not speed >= 0.0:
        raise ValueError(f"speed must be a number >= 0 px a frame, got {speed}")
    return min(round(_BUCKETS_PER_SHORT_SIDE * speed / short_side), _MAX_BUCKET)


@dataclass(frozen=True)
class Layer:
    """A piece cut out of a photograph, which spins and bounces off the frame's borders."""

    photograph: str
    centre: tuple[float, float]  # of the piece, as a fraction of the photograph's width and height
    view: float  # of the photograph's short side, what one short side of the frame shows
    radius: float
    lobes: int  # the outline is radius * (1 + lobe_depth * cos(lobes * angle))
    lobe_depth: float
    position: complex  # at time 0
    velocity: complex  # short sides a second
    spin: float  # radians a second

    def pose(self, seconds: float) -> tuple[complex, complex]:
        """(alpha, beta) of frame point -> layer point at this path time."""
        room = max(0.5 - 0.5 * self.radius, 0.0)
        place = complex(
            _bounce(self.position.real + self.velocity.real * seconds, room),
            _bounce(self.position.imag + self.velocity.imag * seconds, room),
        )
        alpha = cmath.exp(-1j * self.spin * seconds)
        return alpha, -alpha * place


@dataclass(frozen=True)
class WorldClip:
    """A background photograph under a moving camera, layers in front (nearest last), one light."""

    photograph: str
    centre: tuple[float, float]
    view: float
    pan: complex  # short sides a second
    growth: complex  # zoom-out rate + i * rotation rate, a second
    layers: tuple[Layer, ...]
    light_angle: float
    light_strength: float  # relative brightness goes from 1 - strength to 1 + strength
    swing: float | None = None  # seconds in which all swings out and back; None: it goes on

    def path_time(self, seconds: float) -> float:
        """How far everything has moved along its path, in seconds at its mean speed.

        A swing starts from rest, turns smoothly at its half and is back at its end.
        """
        if self.swing is None:
            return seconds
        return 0.5 * self.swing * math.sin(math.pi * seconds / self.swing) ** 2

    def pose(self, seconds: float) -> tuple[complex, complex]:
        """(alpha, beta) of frame point -> background point at this path time.

        The flow dz/dt = growth z + pan is the same at every moment, so without a swing the
        background's optical flow is stationary: what changes comes from the layers.
        """
        if abs(self.growth) < 1e-9:
            return 1.0 + 0.0j, self.pan * seconds
        alpha = cmath.exp(self.growth * seconds)
        return alpha, self.pan * (alpha - 1.0) / self.growth


def random_spec(
    seed: int,
    photographs: tuple[str, ...],
    *,
    fps: float = 24.0,
    speed: float | None = None,
    free: bool = False,
    max_layers: int = 2,
) -> WorldClip:
    """Draw a clip over `photographs`; the same arguments give the same clip.

    The camera swings to the right and back in `SWING` seconds, from rest, again and again; the
    layers pass by to the left and back, nearer ones faster. So the first frame, the speed and the
    time tell where everything is, and a model of few parameters can learn how the picture moves
    instead of guessing where to; and however long the clip, what it shows stays within reach of the
    first frame. In a `free` clip the camera heads anywhere, zooms and rotates, the layers spin and
    go their own ways, and nothing turns back but at the frame's borders.

    `speed` is the background's mean motion from one frame to the next at `fps`, as a fraction of
    the frame's short side (1/64 is 1 px at 64x64); without it, it is drawn uniformly from `SPEED`.
    """
    if not photographs:
        raise ValueError("random_spec needs at least one photograph")
    rng = np.random.default_rng(seed)
    drawn = float(rng.uniform(*SPEED))
    speed = drawn if speed is None else speed
    # Drawn in either case: a seed shows the same things, however they move.
    pan, growth = _free_motion(rng, speed)
    if not free:
        pan, growth = complex(speed), 0j
    return WorldClip(
        photograph=str(rng.choice(photographs)),
        centre=(float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.3, 0.7))),
        view=float(rng.uniform(0.2, 0.45)),
        pan=pan * fps,
        growth=growth * fps,
        layers=tuple(
            _random_layer(rng, photographs, speed * nearness, fps, free)
            for nearness in np.linspace(1.2, 1.8, max_layers)[: rng.integers(0, max_layers + 1)]
        ),
        light_angle=float(rng.uniform(0.0, 2.0 * math.pi)),
        light_strength=float(rng.uniform(0.0, 0.15)),
        swing=None if free else SWING,
    )


def _free_motion(rng: np.random.Generator, speed: float) -> tuple[complex, complex]:
    """Pan and growth a frame, in random proportion, with mean speed `speed` over a square frame."""
    share = rng.dirichlet((4.0, 0.4, 0.4))
    sign = rng.choice((-1.0, 1.0), size=2)
    direction = cmath.exp(1j * rng.uniform(0.0, 2.0 * math.pi))
    mean_radius = 0.3826  # mean distance from the centre of a unit square
    # A fast zoom soon runs out of picture: its rate is bounded and the pan takes over.
    zoom = sign[0] * min(share[1] * speed / mean_radius, 0.02)
    rotation = sign[1] * share[2] * speed / mean_radius
    growth = complex(zoom, rotation)
    axis = np.linspace(-0.5, 0.5, 16)
    points = axis[None, :] + 1j * axis[:, None]

    def mean_speed(pan: float) -> float:
        return float(np.abs(growth * points + pan * direction).mean())

    low, high = 0.0, 2.0 * speed
    for _ in range(30):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if mean_speed(middle) < speed else (low, middle)
    return complex(0.5 * (low + high) * direction), growth


def _random_layer(
    rng: np.random.Generator, photographs: tuple[str, ...], speed: float, fps: float, free: bool
) -> Layer:
    direction = cmath.exp(1j * rng.uniform(0.0, 2.0 * math.pi))
    layer = Layer(
        photograph=str(rng.choice(photographs)),
        centre=(float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.3, 0.7))),
        view=float(rng.uniform(0.25, 0.5)),
        radius=float(rng.uniform(0.12, 0.24)),
        lobes=int(rng.integers(2, 6)),
        lobe_depth=float(rng.uniform(0.0, 0.2)),
        position=complex(rng.uniform(-0.35, 0.35), rng.uniform(-0.35, 0.35)),
        velocity=complex(speed * direction) * fps,
        spin=float(rng.uniform(-0.06, 0.06)) * fps,
    )
    return layer if free else replace(layer, velocity=complex(-speed * fps), spin=0.0)


def _bounce(position: float, room: float) -> float:
    """Fold a free path into [-room, room], as between two mirrors."""
    if room == 0.0:
        return 0.0
    phase = (position + room) % (4.0 * room)
    return (phase if phase <= 2.0 * room else 4.0 * room - phase) - room
