"""The figure of unlike clips as a video: all play at once, each at its own rate."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from exvideo.evaluation.figure import full_colour, resized
from exvideo.evaluation.film_strips import Scene, Strip
from exvideo.evaluation.flow_colours import flow_colours, wheel_image
from exvideo.evaluation.sheet import INK, MUTED, RULE, font
from exvideo.evaluation.side_by_side import MIN_SECONDS
from exvideo.video.write import write_mp4

AREA = 168**2
"""Pixels of a cell, as in the picture."""

ABREAST = 6
"""Clips beside each other, so that a screen shows them without shrinking them."""

MARGIN, GAP, LABEL, BAR, CAPTION, FOOTER = 20, 16, 60, 14, 34, 52

MOST_FPS = 60.0


def write_playing_strips(path: Path, scenes: Sequence[Scene]) -> None:
    """Write an MP4 in which every clip plays in real time, its flow below it.

    It lasts as long as the longest clip; shorter ones begin again, which their bars show.
    """
    strips = [it for scene in scenes for it in scene.strips]
    fps = min(max(it.fps for it in strips), MOST_FPS)
    seconds = max(MIN_SECONDS, *(len(it.flow) / it.fps for it in strips))
    write_mp4(path, np.stack(list(_frames(scenes, fps, round(seconds * fps)))), fps)


def _frames(scenes: Sequence[Scene], fps: float, count: int) -> Iterator[np.ndarray]:
    layout = list(_layout(scenes))
    scale = full_colour(strip.relative_flow() for strip, _, _ in layout)
    canvas = _canvas(scenes, layout, scale)
    for number in range(count):
        image = canvas.copy()
        draw = ImageDraw.Draw(image)
        for strip, x, y in layout:
            height, width = strip.cell_of(AREA)
            frame = int(number / fps * strip.fps + 1e-6) % len(strip.flow)
            colours = flow_colours(strip.relative_flow()[frame], scale)
            for picture, top in ((strip.frames[frame], y), (colours, y + height + 2)):
                image.paste(Image.fromarray(resized(picture, height, width)), (x, top))
            bar = y + 2 * height + 8
            draw.rectangle((x, bar, x + width, bar + 3), RULE)
            draw.rectangle((x, bar, x + width * (frame + 1) // len(strip.flow), bar + 3), INK)
        yield np.asarray(image)


def _layout(scenes: Sequence[Scene]) -> Iterator[tuple[Strip, int, int]]:
    """Each strip with the left top corner of its frame."""
    y = MARGIN
    width = max(strip.cell_of(AREA)[1] for scene in scenes for strip in scene.strips)
    for scene in scenes:
        y += CAPTION
        for start in range(0, len(scene.strips), ABREAST):
            abreast = scene.strips[start : start + ABREAST]
            y += LABEL
            for number, strip in enumerate(abreast):
                yield strip, MARGIN + number * (width + GAP), y
            y += 2 * max(it.cell_of(AREA)[0] for it in abreast) + BAR + GAP


def _canvas(
    scenes: Sequence[Scene], layout: Sequence[tuple[Strip, int, int]], scale: float
) -> Image.Image:
    """Everything that does not move."""
    right = max(x + strip.cell_of(AREA)[1] for strip, x, _ in layout)
    bottom = max(y + 2 * strip.cell_of(AREA)[0] for strip, _, y in layout)
    size = (right + MARGIN + right % 2, bottom + BAR + FOOTER + bottom % 2)
    canvas = Image.new("RGB", size, "#ffffff")
    draw = ImageDraw.Draw(canvas)
    captions = [it for scene in scenes for it in (scene.caption, *[""] * (len(scene.strips) - 1))]
    for caption, (strip, x, y) in zip(captions, layout, strict=True):
        draw.text((x, y - LABEL - CAPTION + 8), caption, INK, font(14, bold=True))
        draw.text((x, y - LABEL + 4), strip.name, INK, font(15, bold=True))
        draw.text((x, y - LABEL + 24), f"{strip.size}, {strip.fps:g} a second", MUTED, font(11))
        length = f"{len(strip.frames)} frames, {strip.seconds:.2f} s"
        draw.text((x, y - LABEL + 40), length, MUTED, font(11))
    wheel = Image.fromarray(wheel_image(36))
    canvas.paste(wheel, (MARGIN, canvas.height - 46), wheel)
    legend = f"direction of motion; full colour: {scale:.2%} of the picture's size a frame"
    draw.text((MARGIN + 48, canvas.height - 36), legend, MUTED, font(12))
    return canvas
