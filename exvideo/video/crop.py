"""A rectangle of a video's frames."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Crop:
    """Px of the video's own frames."""

    top: int
    left: int
    height: int
    width: int


def centre_crop(video_height: int, video_width: int, height: int, width: int) -> Crop:
    """The largest rectangle of the aspect height:width in the middle of the video's frame."""
    scale = min(video_height / height, video_width / width)
    crop_height = min(video_height, round(height * scale))
    crop_width = min(video_width, round(width * scale))
    top, left = (video_height - crop_height) // 2, (video_width - crop_width) // 2
    return Crop(top, left, crop_height, crop_width)
