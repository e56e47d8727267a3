"""A rectangle of a video's frames."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Crop:
    """Px of the video's own frames."""

    top: int
    left: int
    height: int
    width: int


def centre_crop(picture: Crop, height: int, width: int) -> Crop:
    """The largest rectangle of the aspect height:width in the middle of the picture."""
    scale = min(picture.height / height, picture.width / width)
    crop_height = min(picture.height, round(height * scale))
    crop_width = min(picture.width, round(width * scale))
    top = picture.top + (picture.height - crop_height) // 2
    left = picture.left + (picture.width - crop_width) // 2
    return Crop(top, left, crop_height, crop_width)


def overlap(one: Crop, other: Crop) -> Crop:
    """What both rectangles hold."""
    top, left = max(one.top, other.top), max(one.left, other.left)
    bottom = min(one.top + one.height, other.top + other.height)
    right = min(one.left + one.width, other.left + other.width)
    return Crop(top, left, max(0, bottom - top), max(0, right - left))
