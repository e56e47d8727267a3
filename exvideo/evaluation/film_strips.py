"""A figure of clips of unlike sizes, lengths and rates: each one's frames above their flow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exvideo.evaluation.figure import full_colour, resized, shown_frames, time_slice
from exvideo.evaluation.flow_colours import flow_colours, wheel_image
from exvideo.evaluation.numbers import Metric
from exvideo.evaluation.sheet import MARGIN, MUTED, SHAKE, SPEED, Sheet

AREA = 124**2
"""Pixels of a cell: clips of every aspect ratio are shown equally large."""

GAP, STRIP_GAP, SCENE_GAP, LABEL, SLICE, TEXT = 10, 22, 44, 190, 190, 156
HEADER, CAPTION, FOOTER = 92, 18, 138

MOST_LETTERS = 28
"""Of a note beside a strip."""

MOST_STRIPS = 24
"""Of a figure that people can still look at, and programs open."""


@dataclass(frozen=True)
class Strip:
    """A clip in the figure."""

    name: str
    frames: np.ndarray
    """uint8 [T, H, W, 3]."""
    flow: np.ndarray
    """float32 [T-1, 2, H, W], pixels a frame."""
    fps: float
    values: Mapping[Metric, float | None]
    note: str = ""
    """What else is to be known of it."""

    @property
    def size(self) -> str:
        return f"{self.frames.shape[2]}x{self.frames.shape[1]}"

    @property
    def seconds(self) -> float:
        return len(self.frames) / self.fps

    def cell_of(self, area: int) -> tuple[int, int]:
        """Even (height, width) of about `area` pixels with the clip's aspect ratio."""
        height, width = self.frames.shape[1:3]
        scale = (area / (height * width)) ** 0.5
        return 2 * round(height * scale / 2), 2 * round(width * scale / 2)

    def relative_flow(self) -> np.ndarray:
        """In the picture's own size (the root of its area) a frame, so that sizes compare."""
        height, width = self.frames.shape[1:3]
        return self.flow / np.float32((height * width) ** 0.5)


@dataclass(frozen=True)
class Scene:
    """Clips that begin with the same picture, or answer the same prompt."""

    caption: str
    strips: Sequence[Strip]


def shown_scenes(wanted: int, strips: int) -> int:
    """How many scenes of so many strips a figure shows: what is asked for, as far as it fits."""
    return max(1, min(wanted, MOST_STRIPS // strips))


def write_film_strips(
    path: Path,
    scenes: Sequence[Scene],
    columns: int,
    title: str,
    subtitle: str,
    estimator: str,
) -> None:
    """Draw `scenes` as a PNG: of each clip, `columns` frames above their flow to the next one.

    Cells have the clips' aspect ratios and one area, all flow one scale of colours, and all x-t
    slices one scale of time.
    """
    strips = [it for scene in scenes for it in scene.strips]
    pitch = max(it.cell_of(AREA)[1] for it in strips) + GAP
    slices = MARGIN + LABEL + columns * pitch + GAP
    sheet = Sheet(slices + SLICE + MARGIN, _bottom(scenes) + FOOTER)
    sheet.text(MARGIN, 28, title, 18, fontweight="bold")
    sheet.text(MARGIN, 62, subtitle, 11, color=MUTED)
    scale = full_colour(it.relative_flow() for it in strips)
    longest = max(it.seconds for it in strips)
    for y, scene, strip in _places(scenes):
        if strip is scene.strips[0]:
            sheet.rule(y - CAPTION - 28)
            sheet.text(MARGIN, y - CAPTION - 20, scene.caption, 11, fontweight="bold")
            said = "middle column over time"
            sheet.text(slices, y - CAPTION, said, 9.5, color=MUTED)
        _label(sheet, y, strip)
        _strip(sheet, y, strip, columns, pitch, scale)
        width = max(2, round(SLICE * strip.seconds / longest))
        sheet.image(slices, y, time_slice(strip.frames, strip.cell_of(AREA)[0], width))
        sheet.text(
            slices, y + strip.cell_of(AREA)[0] + 4, f"{strip.seconds:.2f} s", 9.5, color=MUTED
        )
    _legend(sheet, scale, estimator)
    sheet.save(path)


def _height(strip: Strip) -> int:
    return max(2 * strip.cell_of(AREA)[0] + 2, TEXT)


def _places(scenes: Sequence[Scene]) -> Iterator[tuple[int, Scene, Strip]]:
    """Each strip with its scene and the top of its frames."""
    y = HEADER
    for scene in scenes:
        y += SCENE_GAP
        for strip in scene.strips:
            y += CAPTION
            yield y, scene, strip
            y += _height(strip) + STRIP_GAP


def _bottom(scenes: Sequence[Scene]) -> int:
    *_, (y, _, last) = _places(scenes)
    return y + _height(last)


def _label(sheet: Sheet, y: int, strip: Strip) -> None:
    sheet.text(MARGIN, y, strip.name, 13, fontweight="bold")
    lines = [
        "" if strip.name == strip.size else strip.size,
        f"{len(strip.frames)} frames",
        f"{strip.fps:g} a second, {strip.seconds:.2f} s",
    ]
    for number, line in enumerate(filter(None, lines)):
        sheet.text(MARGIN, y + 26 + 19 * number, line, 10, color=MUTED)
    shown: list[tuple[str, Metric, str, str]] = [
        ("jitter", "jitter", "{:.2f}", SHAKE),
        ("flow", "flow_speed", "{:.2f} px", SPEED),
    ]
    if strip.note:
        sheet.text(MARGIN, y + 140, _cut(strip.note), 8.5, color=MUTED)
    for number, (name, metric, form, colour) in enumerate(shown):
        value = strip.values.get(metric)
        top = y + 94 + 21 * number
        sheet.text(MARGIN, top, name, 10.5, color=MUTED)
        text = "–" if value is None else form.format(value)
        sheet.text(MARGIN + 46, top, text, 11, color=colour, fontweight="bold")


def _cut(text: str) -> str:
    """As much as the label's width takes; a prompt may be a paragraph."""
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1] + "…"


def _strip(sheet: Sheet, y: int, strip: Strip, columns: int, pitch: int, scale: float) -> None:
    height, width = strip.cell_of(AREA)
    flow = strip.relative_flow()
    shown = shown_frames(len(strip.frames), min(columns, len(strip.flow)))
    for column, frame in enumerate(shown):
        x = MARGIN + LABEL + column * pitch
        sheet.text(x, y - CAPTION + 2, f"frame {frame}", 8.5, color=MUTED)
        sheet.image(x, y, resized(strip.frames[frame], height, width))
        colours = flow_colours(flow[frame], scale)
        sheet.image(x, y + height + 2, resized(colours, height, width))


def _legend(sheet: Sheet, scale: float, estimator: str) -> None:
    top = sheet.height - FOOTER + 26
    sheet.rule(top - 8)
    sheet.image(MARGIN, top + 6, wheel_image(88))
    lines = [
        "Below each frame: the optical flow to the next one. The colour is the direction in which "
        "a pixel moves, as on the wheel.",
        f"White is rest; full colour is {scale:.2%} of the picture's size (the root of its area) "
        f"a frame or more, in every row alike. By {estimator}.",
        "jitter = mean |second difference of the flow over time| / mean |flow|: 0 is smooth, 4 "
        "turns back at every frame.",
        "Middle column over time: what rests draws level lines, steady motion slants them, jitter "
        "frays them. A second is equally wide in every row.",
    ]
    for number, line in enumerate(lines):
        sheet.text(MARGIN + 112, top + 6 + 22 * number, line, 9.5, color=MUTED)
