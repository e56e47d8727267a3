"""Read a clip's pixels: what training sees, and what the filters judge."""

import numpy as np
from numpy.typing import NDArray
from upath import UPath

from exvideo.clips.manifest import Clip
from exvideo.sources.manifest import locate
from exvideo.video.crop import Crop
from exvideo.video.decoder import Decoder
from exvideo.video.frames import cropped_frames


def read_clip(clip: Clip, folder: UPath, decoder: Decoder) -> NDArray[np.uint8]:
    """The clip's frames, uint8 [T,H,W,3] RGB; `folder` is the source manifest's.

    Raises `DecodeError` where a piece is gone or cannot be decoded.
    """
    crop = Crop(clip.crop_top, clip.crop_left, clip.crop_height, clip.crop_width)
    frames = np.empty((clip.num_frames, clip.height, clip.width, 3), np.uint8)
    filled = 0
    for piece in clip.pieces:
        window = (piece.start_frame, piece.num_frames, clip.stride)
        path = locate(folder, piece.path)
        size = (clip.height, clip.width)
        for frame in decoder.stream(cropped_frames, path, *window, crop, *size):
            frames[filled] = frame
            filled += 1
    if filled != clip.num_frames:
        raise ValueError(f"clip {clip.clip_id}: its pieces hold {filled} of {clip.num_frames}")
    return frames


def read_first_frame(clip: Clip, folder: UPath, decoder: Decoder) -> NDArray[np.uint8]:
    """What the clip shows first, in the video's own pixels, uint8 [H,W,3]; else as `read_clip`."""
    piece = clip.pieces[0].model_copy(update={"num_frames": 1})
    alone = {
        "pieces": [piece],
        "num_frames": 1,
        "stride": 1,
        "height": clip.crop_height,
        "width": clip.crop_width,
    }
    first: NDArray[np.uint8] = read_clip(clip.model_copy(update=alone), folder, decoder)[0]
    return first
