"""The evaluation grid as one picture: frames with their flow, phase under phase."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from exvideo.evaluation.figure import (
    Block,
    Row,
    cell_size,
    flow_scale,
    resized,
    shown_frames,
    time_slice,
)
from exvideo.evaluation.flow_colours import flow_colours, wheel_image
from exvideo.evaluation.numbers import SampleNumbers
from exvideo.evaluation.sheet import MARGIN, MUTED, RULE, SHAKE, SPEED, Sheet

CELL = 128
"""Longer side of a picture; the rest of the layout in pixels, too."""
GAP, ROW_GAP, BLOCK_GAP = 14, 10, 58
LABEL, SLICE, CHART, TEXT = 150, 176, 210, 106
HEADER, FOOTER = 138, 176


@dataclass(frozen=True)
class Layout:
    """Where things stand, in pixels from the top left corner."""

    columns: int
    rows: list[int]
    """Rows of each block."""
    cell_height: int
    cell_width: int

    @property
    def label(self) -> int:
        return MARGIN + self.cell_width + 2 * GAP

    def pair(self, column: int) -> int:
        return self.label + LABEL + column * (2 * self.cell_width + GAP)

    @property
    def slice(self) -> int:
        return self.pair(self.columns) + GAP

    @property
    def chart(self) -> int:
        return self.slice + SLICE + 3 * GAP + 16

    @property
    def width(self) -> int:
        return self.chart + CHART + MARGIN

    @property
    def row_height(self) -> int:
        # Of wide frames, a row's text is taller than its pictures.
        return max(self.cell_height, TEXT) + ROW_GAP

    def top(self, block: int, row: int = 0) -> int:
        above = sum(n * self.row_height + BLOCK_GAP for n in self.rows[:block])
        return HEADER + BLOCK_GAP + above + row * self.row_height

    @property
    def height(self) -> int:
        return self.top(len(self.rows)) - BLOCK_GAP + FOOTER


def write_contact_sheet(
    path: Path, blocks: list[Block], columns: int, title: str, estimator: str
) -> None:
    """Draw `blocks` as a PNG, `columns` frames a row, with a legend and each row's numbers."""
    num_frames = len(blocks[0].rows[0].frames)
    layout = Layout(
        columns, [len(block.rows) for block in blocks], *cell_size(blocks[0].rows[0].frames, CELL)
    )
    scale = flow_scale(blocks)
    sheet = Sheet(layout.width, layout.height)
    shown = shown_frames(num_frames, columns)
    _header(sheet, layout, shown, num_frames, title)
    limits = _chart_limits(blocks)
    for place, block in enumerate(blocks):
        _block(sheet, layout, place, block, shown, scale, limits)
    _legend(sheet, layout, scale, estimator)
    sheet.save(path)


def write_preview(sheet: Path, path: Path) -> None:
    """The sheet at half its size as a JPEG, small enough to be kept with an event's metadata."""
    with Image.open(sheet) as picture:
        picture.convert("RGB").reduce(2).save(path, quality=85)


def _header(sheet: Sheet, layout: Layout, shown: list[int], num_frames: int, title: str) -> None:
    sheet.text(MARGIN, 30, title, 19, fontweight="bold")
    sheet.text(
        MARGIN,
        66,
        f"{num_frames} frames from one given frame, with the same noise in every row. Beside each "
        "frame: the optical flow to the next one.",
        11.5,
        color=MUTED,
    )
    y = HEADER - 16
    for column, frame in enumerate(shown):
        x = layout.pair(column)
        sheet.text(x, y, f"frame {frame}", 10.5, fontweight="bold")
        sheet.text(x + layout.cell_width + 4, y, f"flow to {frame + 1}", 10.5, color=MUTED)
    sheet.text(layout.slice, y, "middle column over time", 10.5, fontweight="bold")
    sheet.text(layout.chart, y, "flow", 10.5, color=SPEED, fontweight="bold")
    sheet.text(layout.chart + 42, y, "shake", 10.5, color=SHAKE, fontweight="bold")
    sheet.text(layout.chart + 98, y, "pixels a frame", 10.5, color=MUTED)
    sheet.rule(HEADER + 8)


def _block(
    sheet: Sheet,
    layout: Layout,
    place: int,
    block: Block,
    shown: list[int],
    scale: float,
    limits: tuple[float, float],
) -> None:
    numbers = block.rows[0].numbers
    top = layout.top(place)
    caption = f"clip {numbers.clip_id}, seed {numbers.seed}"
    sheet.text(MARGIN, top - 24, caption, 10.5, color=MUTED)
    sheet.image(MARGIN, top, resized(block.given, layout.cell_height, layout.cell_width))
    y = top + layout.cell_height + 6
    sheet.text(MARGIN, y, "given frame", 10, color=MUTED)
    sheet.text(MARGIN, y + 28, "its real clip", 10.5, fontweight="bold")
    _values(sheet, MARGIN, y + 48, block.real)
    for row_number, row in enumerate(block.rows):
        y = layout.top(place, row_number)
        _label(sheet, layout.label, y, row)
        for column, frame in enumerate(shown):
            x = layout.pair(column)
            size = (layout.cell_height, layout.cell_width)
            sheet.image(x, y, resized(row.frames[frame], *size))
            colours = flow_colours(row.flow[frame], scale)
            sheet.image(x + layout.cell_width, y, resized(colours, *size))
        strip = time_slice(row.frames, layout.cell_height, SLICE)
        sheet.image(layout.slice, y, strip)
        last = row_number == len(block.rows) - 1
        _chart(sheet.axes(layout.chart, y, CHART, layout.cell_height), row, limits, last)


def _label(sheet: Sheet, x: int, y: int, row: Row) -> None:
    sheet.text(x, y + 8, row.numbers.phase, 15, fontweight="bold")
    sheet.text(x, y + 33, f"step {row.numbers.step:,}", 11, color=MUTED)
    _values(sheet, x, y + 66, row.numbers)


def _values(sheet: Sheet, x: int, y: int, numbers: SampleNumbers) -> None:
    jitter = _shown(numbers.values["jitter"], "{:.2f}")
    flow = _shown(numbers.values["flow_speed"], "{:.2f} px")
    for line, (name, value, colour) in enumerate(
        [("jitter", jitter, SHAKE), ("flow", flow, SPEED)]
    ):
        sheet.text(x, y + 22 * line, name, 11, color=MUTED)
        sheet.text(x + 48, y + 22 * line, value, 11.5, color=colour, fontweight="bold")


def _chart(axes: Axes, row: Row, limits: tuple[float, float], with_numbers: bool) -> None:
    speed, shake = row.numbers.speed, row.numbers.shake
    axes.plot(np.arange(len(speed)) + 0.5, speed, color=SPEED, linewidth=1.6)
    axes.plot(np.arange(len(shake)) + 1.5, shake, color=SHAKE, linewidth=1.6)
    # Logarithmic, so that the curves' distance is their ratio: the jitter.
    axes.set(xlim=(0, len(speed)), ylim=limits, yscale="log", xticks=[0, len(speed)])
    decades = 10.0 ** np.arange(-3, 4)
    # A label at the very rim would run into the next row's.
    axes.set_yticks([tick for tick in decades if 1.4 * limits[0] < tick < limits[1] / 1.4])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.tick_params(labelsize=8.5, colors=MUTED, length=2, pad=2, labelbottom=with_numbers)
    axes.tick_params(which="minor", length=0, labelleft=False)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.set_facecolor("none")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(RULE)


def _chart_limits(blocks: list[Block]) -> tuple[float, float]:
    """Common to all charts, so that rows compare; around 0.1 to 10 at least."""
    values = np.concatenate(
        [[*row.numbers.speed, *row.numbers.shake] for block in blocks for row in block.rows]
    )
    low, high = np.percentile(np.maximum(values, 1e-3), [1, 100])
    return min(0.7 * float(low), 0.06), max(1.4 * float(high), 16.0)


def _legend(sheet: Sheet, layout: Layout, scale: float, estimator: str) -> None:
    top = layout.height - FOOTER + 34
    sheet.rule(top - 14)
    sheet.image(MARGIN, top + 8, wheel_image(112))
    x = MARGIN + 112 + 22
    sheet.text(x, top + 6, "Flow", 11, fontweight="bold")
    lines = [
        "The colour is the direction in which a pixel moves, as on the wheel: right is red.",
        f"White is rest; full colour is {scale:g} pixels a frame or more, in every row alike.",
        f"Estimated by {estimator}.",
    ]
    for number, line in enumerate(lines):
        sheet.text(x, top + 30 + 22 * number, line, 10.5, color=MUTED)
    x = layout.pair(2) + layout.cell_width
    sheet.text(x, top + 6, "How to read a row", 11, fontweight="bold")
    lines = [
        "jitter = mean |second difference of the flow over time| / mean |flow|: "
        "0 is smooth, 4 turns back at every frame.",
        "Middle column over time: what rests draws level lines, steady motion slants them, "
        "jitter frays them.",
        "Charts: each frame's mean flow and mean second difference (shake), on one logarithmic "
        "scale: jitter is their distance.",
    ]
    for number, line in enumerate(lines):
        sheet.text(x, top + 30 + 22 * number, line, 10.5, color=MUTED)


def _shown(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
