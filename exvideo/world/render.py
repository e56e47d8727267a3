"""Renders a `WorldClip` to frames, exact forward flow and the mask of pixels visible twice."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from exvideo.world.photographs import load_photograph
from exvideo.world.spec import Layer, WorldClip

# Frames are drawn at twice their size and averaged: without it, sub-pixel motion would flicker
# between the sharp and the blurred state of linear interpolation.
_SUPERSAMPLING = 2
_EDGE_SOFTNESS = 0.012  # of a layer's outline, in short sides

Points = NDArray[np.complex64]


@dataclass(frozen=True)
class RenderedClip:
    """Frames with their ground truth.

    `flow[t]` moves a pixel of frame t to frame t + 1 (x, y; px) and is exact everywhere, also where
    the target is covered or outside; `valid[t]` says where the pixel is seen in both frames.
    """

    frames: NDArray[np.uint8]  # [T, H, W, 3]
    flow: NDArray[np.float32]  # [T-1, 2, H, W]
    valid: NDArray[np.bool_]  # [T-1, H, W]
    fps: float

    @property
    def speed(self) -> float:
        """Mean flow magnitude, px a frame."""
        return float(np.hypot(self.flow[:, 0], self.flow[:, 1]).mean()) if len(self.flow) else 0.0


def render_clip(
    spec: WorldClip, num_frames: int, height: int, width: int, fps: float = 24.0
) -> RenderedClip:
    """Render `num_frames` frames of height x width px, `fps` a second; deterministic."""
    if num_frames < 1 or height < 2 or width < 2 or not fps > 0.0:
        raise ValueError(f"cannot render {num_frames} frames of {height}x{width} at {fps} fps")
    side = min(height, width)
    points = _pixel_grid(height, width, 1)
    fine = _pixel_grid(height, width, _SUPERSAMPLING)
    things: tuple[WorldClip | Layer, ...] = (spec, *spec.layers)
    textures = [_texture(thing, side * _SUPERSAMPLING) for thing in things]
    light = _light(spec, points)[..., None]

    times = [spec.path_time(t / fps) for t in range(num_frames)]
    poses = [[thing.pose(time) for thing in things] for time in times]
    frames = np.empty((num_frames, height, width, 3), np.uint8)
    for t in range(num_frames):
        canvas = _sample(textures[0], spec, poses[t][0], fine, side)
        for layer, texture, pose in zip(spec.layers, textures[1:], poses[t][1:], strict=True):
            alpha = np.clip(_inside(layer, pose, fine) / _EDGE_SOFTNESS + 0.5, 0.0, 1.0)[..., None]
            canvas += alpha * (_sample(texture, layer, pose, fine, side) - canvas)
        frame = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA) * light
        frames[t] = np.clip(np.rint(frame), 0, 255)

    flow = np.empty((num_frames - 1, 2, height, width), np.float32)
    valid = np.empty((num_frames - 1, height, width), bool)
    limit = complex(width, height) / (2 * side)
    for t in range(num_frames - 1):
        top = _topmost(spec.layers, poses[t], points)
        target = np.empty_like(points)
        for index, (now, then) in enumerate(zip(poses[t], poses[t + 1], strict=True)):
            at = top == index
            target[at] = (now[0] * points[at] + now[1] - then[1]) / then[0]
        flow[t, 0], flow[t, 1] = (target - points).real * side, (target - points).imag * side
        seen = (np.abs(target.real) <= limit.real) & (np.abs(target.imag) <= limit.imag)
        valid[t] = seen & (_topmost(spec.layers, poses[t + 1], target) == top)
    return RenderedClip(frames, flow, valid, fps)


def _pixel_grid(height: int, width: int, factor: int) -> Points:
    """Centres of the pixels of a frame drawn at `factor` times its size."""
    side = min(height, width)
    x = ((np.arange(width * factor) + 0.5) / factor - 0.5 * width) / side
    y = ((np.arange(height * factor) + 0.5) / factor - 0.5 * height) / side
    return (x[None, :] + 1j * y[:, None]).astype(np.complex64)


def _texture(thing: WorldClip | Layer, side: int) -> NDArray[np.float32]:
    """The photograph at the resolution at which one frame's short side shows `view` of it."""
    photograph = load_photograph(thing.photograph)
    scale = side / (thing.view * min(photograph.shape[:2]))
    how = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    size = (round(photograph.shape[1] * scale), round(photograph.shape[0] * scale))
    return cv2.resize(photograph, size, interpolation=how).astype(np.float32)


def _sample(
    texture: NDArray[np.float32],
    thing: WorldClip | Layer,
    pose: tuple[complex, complex],
    points: Points,
    side: int,
) -> NDArray[np.float32]:
    """The thing's picture at these frame points; beyond its border the photograph is mirrored."""
    local = (pose[0] * points + pose[1]) * (side * _SUPERSAMPLING)
    x = local.real + (thing.centre[0] * texture.shape[1] - 0.5)
    y = local.imag + (thing.centre[1] * texture.shape[0] - 0.5)
    return cv2.remap(
        texture,
        x.astype(np.float32),
        y.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    ).astype(np.float32, copy=False)


def _inside(layer: Layer, pose: tuple[complex, complex], points: Points) -> NDArray[np.float32]:
    """Distance along the ray from the layer's outline, positive inside it."""
    local = pose[0] * points + pose[1]
    outline = layer.radius * (1.0 + layer.lobe_depth * np.cos(layer.lobes * np.angle(local)))
    return (outline - np.abs(local)).astype(np.float32)


def _topmost(
    layers: tuple[Layer, ...], poses: list[tuple[complex, complex]], points: Points
) -> NDArray[np.int8]:
    """0 where the background is seen, i where it is layer i (counted from 1)."""
    top = np.zeros(points.shape, np.int8)
    for index, (layer, pose) in enumerate(zip(layers, poses[1:], strict=True), start=1):
        top[_inside(layer, pose, points) > 0.0] = index
    return top


def _light(spec: WorldClip, points: Points) -> NDArray[np.float32]:
    """A brightness ramp that stays with the frame while everything moves under it."""
    along = points.real * np.cos(spec.light_angle) + points.imag * np.sin(spec.light_angle)
    return (1.0 + 2.0 * spec.light_strength * along).astype(np.float32)
