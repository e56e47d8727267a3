"""Write an MP4 that every browser plays."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

FPS_DENOMINATOR = 1001
"""The largest that broadcast rates need: 29.97 is 30000/1001."""

CPU_AVX_512F = 13
"""OpenCV's number of the feature, which its Python module does not name."""

BT709 = 1
"""The colour space's number in H.264; untagged video is guessed from its size."""


def write_mp4(
    path: Path, frames: np.ndarray, fps: float, crf: int = 18, comment: str | None = None
) -> None:
    """Encode `frames`, uint8 [T,H,W,3] with even height and width, as H.264 in yuv420p.

    `crf` is x264's constant rate factor: 0 is lossless in yuv420p, 18 looks lossless, 51 is the
    worst. The index stands in front of the frames, so that playing starts before the download
    ends. The file appears under its name when it is complete.

    `comment` goes into the container's metadata.

    Raises `ValueError` for frames that the format cannot hold.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
        raise ValueError(f"frames must be uint8 [T,H,W,3], not {frames.dtype} {frames.shape}")
    count, height, width, _ = frames.shape
    if not count or height % 2 or width % 2:
        raise ValueError(f"yuv420p needs frames of even height and width, not {frames.shape}")
    part = path.with_name(path.name + ".part")
    with av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        if comment is not None:
            container.metadata["comment"] = comment
        rate = Fraction(fps).limit_denominator(FPS_DENOMINATOR)
        stream = container.add_stream("libx264", rate=rate, options=_options(crf))
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = BT709
        # x264's output depends on its thread count: one gives every machine the same bytes.
        context.thread_count = 1
        for frame in frames:
            rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            yuv = rgb.reformat(format="yuv420p", dst_colorspace="itu709")
            container.mux(stream.encode(yuv))
        container.mux(stream.encode(None))
    part.replace(path)


def _options(crf: int) -> dict[str, str]:
    options = {"crf": str(crf)}
    # x264's AVX-512 code gives the same frames other bytes now and then; AVX2's does not.
    if cv2.checkHardwareSupport(CPU_AVX_512F):
        options["x264-params"] = "asm=avx2"
    return options
