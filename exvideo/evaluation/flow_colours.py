"""Flow as colours, by Middlebury's wheel (Baker et al., 2007): hue is direction, depth is speed."""

import numpy as np

SEGMENTS = ("RY", 15), ("YG", 6), ("GC", 4), ("CB", 11), ("BM", 13), ("MR", 6)
CORNERS = {
    "R": (255, 0, 0),
    "Y": (255, 255, 0),
    "G": (0, 255, 0),
    "C": (0, 255, 255),
    "B": (0, 0, 255),
    "M": (255, 0, 255),
}


def colour_wheel() -> np.ndarray:
    """The wheel's 55 hues, float [55, 3] in [0, 255], from red over yellow, cyan and magenta."""
    hues = []
    for ends, steps in SEGMENTS:
        start, end = (np.array(CORNERS[corner]) for corner in ends)
        way = np.arange(steps)[:, None] / steps
        hues.append(start * (1 - way) + end * way)
    return np.floor(np.concatenate(hues))


def flow_colours(flow: np.ndarray, scale: float) -> np.ndarray:
    """Flow [..., 2, H, W] to uint8 [..., H, W, 3].

    White is rest; a speed of `scale` pixels a frame, or more, has its direction's full colour.
    One scale for all that is to be compared: a scale of its own would make a shaking clip and a
    calm one look alike.
    """
    wheel = colour_wheel()
    x, y = np.moveaxis(flow, -3, 0)
    speed = np.minimum(np.hypot(x, y) / scale, 1)[..., None]
    place = (np.arctan2(-y, -x) / np.pi + 1) / 2 * (len(wheel) - 1)
    below = np.floor(place).astype(int)
    share = (place - below)[..., None]
    hue = (1 - share) * wheel[below] + share * wheel[(below + 1) % len(wheel)]
    return np.floor(255 * (1 - speed * (1 - hue / 255)) + 1e-4).astype(np.uint8)


def wheel_image(size: int) -> np.ndarray:
    """The legend: every direction's colour at its angle, uint8 [size, size, 4], clear outside."""
    axis = np.linspace(-1, 1, size)
    flow = np.stack(np.meshgrid(axis, axis))
    radius = np.hypot(*flow)
    # A soft rim of one pixel instead of a jagged one.
    alpha = np.clip((1 - radius) * size / 2, 0, 1)
    return np.dstack([flow_colours(flow, 1.0), (255 * alpha).astype(np.uint8)])
