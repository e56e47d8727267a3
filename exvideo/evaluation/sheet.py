"""A picture with pixels and text in it, as figures are drawn on."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import ImageFont

DPI = 100
MARGIN = 36
INK, MUTED, RULE = "#1b1f27", "#667085", "#d9dde3"
SPEED, SHAKE = "#2f6fb3", "#d1495b"


class Sheet:
    """A matplotlib figure that is addressed in pixels from the top left corner."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")

    def image(self, x: int, y: int, image: np.ndarray) -> None:
        self.figure.figimage(image, x, self.height - y - image.shape[0])

    def text(self, x: float, y: float, text: str, size: float = 10, **style: object) -> None:
        options = {"color": INK, "va": "top", "ha": "left", "fontsize": size, **style}
        self.figure.text(x / self.width, 1 - y / self.height, text, **options)  # type: ignore[arg-type]

    def axes(self, x: int, y: int, width: int, height: int) -> Axes:
        place = (
            x / self.width,
            1 - (y + height) / self.height,
            width / self.width,
            height / self.height,
        )
        return self.figure.add_axes(place)

    def rule(self, y: int) -> None:
        axes = self.axes(MARGIN, y, self.width - 2 * MARGIN, 1)
        axes.set_axis_off()
        axes.add_artist(Rectangle((0, 0), 1, 1, color=RULE, linewidth=0, transform=axes.transAxes))

    def save(self, path: Path) -> None:
        self.figure.savefig(path, dpi=DPI, metadata={"Software": None})


def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """For what Pillow draws; the same as Matplotlib's."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), size)
