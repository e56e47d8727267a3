"""The evaluation grid as a video: every phase plays at the same time, frame beside flow."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from exvideo.evaluation.figure import Block, cell_size, flow_scale, resized
from exvideo.evaluation.flow_colours import flow_colours, wheel_image
from exvideo.evaluation.sheet import INK, MUTED, RULE, font
from exvideo.video.write import write_mp4

CELL = 192
MARGIN, GAP, LABEL, HEADER, FOOTER = 20, 12, 116, 56, 64
PAPER = "#ffffff"

MIN_SECONDS = 3.5
"""Shorter clips are repeated: nobody can judge motion that is over at once."""


def write_side_by_side(path: Path, blocks: list[Block], fps: float) -> None:
    """Write an MP4 with a row a phase; each first frame takes two columns, frame and flow.

    It plays at the clips' own rate, from the first to the last frame that has a next one.
    """
    once = np.stack(list(_frames(blocks)))
    repeats = max(1, int(np.ceil(MIN_SECONDS * fps / len(once))))
    write_mp4(path, np.concatenate([once] * repeats), fps)


def _frames(blocks: list[Block]) -> Iterator[np.ndarray]:
    scale = flow_scale(blocks)
    height, width = cell_size(blocks[0].rows[0].frames, CELL)
    canvas = _canvas(blocks, scale, height, width)
    pairs = len(blocks[0].rows[0].flow)
    for frame in range(pairs):
        image = canvas.copy()
        for place, block in enumerate(blocks):
            for number, row in enumerate(block.rows):
                x, y = _corner(place, number, height, width)
                picture = resized(row.frames[frame], height, width)
                colours = resized(flow_colours(row.flow[frame], scale), height, width)
                image.paste(Image.fromarray(picture), (x, y))
                image.paste(Image.fromarray(colours), (x + width, y))
        _clock(image, frame, pairs)
        yield np.asarray(image)


def _canvas(blocks: list[Block], scale: float, height: int, width: int) -> Image.Image:
    """Everything that does not move."""
    right, bottom = _corner(len(blocks), len(blocks[0].rows), height, width)
    canvas = Image.new("RGB", (right - GAP + MARGIN, bottom - GAP + FOOTER), PAPER)
    draw = ImageDraw.Draw(canvas)
    for place, block in enumerate(blocks):
        x, _ = _corner(place, 0, height, width)
        draw.text((x, HEADER - 24), "generated", INK, font(14, bold=True))
        draw.text((x + width, HEADER - 24), "flow", INK, font(14, bold=True))
        numbers = block.rows[0].numbers
        caption = f"seed {numbers.seed}, clip {numbers.clip_id}"
        draw.text((x, HEADER - 44), caption, MUTED, font(12))
    for number, row in enumerate(blocks[0].rows):
        _, y = _corner(0, number, height, width)
        draw.text((MARGIN, y + 4), row.numbers.phase, INK, font(20, bold=True))
        draw.text((MARGIN, y + 32), f"step {row.numbers.step:,}", MUTED, font(14))
    wheel = Image.fromarray(wheel_image(44))
    canvas.paste(wheel, (MARGIN, canvas.height - 54), wheel)
    legend = f"direction of motion; full colour: {scale:g} pixels a frame"
    draw.text((MARGIN + 56, canvas.height - 40), legend, MUTED, font(13))
    return canvas


def _clock(image: Image.Image, frame: int, pairs: int) -> None:
    draw = ImageDraw.Draw(image)
    left, right, y = image.width - MARGIN - 220, image.width - MARGIN, image.height - 22
    draw.text((left, y - 22), f"frame {frame}", INK, font(14, bold=True))
    draw.rectangle((left, y, right, y + 4), RULE)
    draw.rectangle((left, y, left + (right - left) * (frame + 1) // pairs, y + 4), INK)


def _corner(place: int, row: int, height: int, width: int) -> tuple[int, int]:
    return MARGIN + LABEL + place * (2 * width + GAP), HEADER + row * (height + GAP)
