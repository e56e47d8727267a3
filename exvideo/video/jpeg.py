"""Whether libjpeg decodes a picture without a complaint, as a witness beside FFmpeg's decoder.

A turned bit often lets a JPEG's code run out of step for some symbols. FFmpeg goes on with what it
got; libjpeg says when blocks and bytes don't come to their end together. It has no more than the
process's stderr to say it on, and OpenCV gives no other way to it.
"""

import os

import cv2
import numpy as np

STDERR = 2


def jpeg_complaint(content: bytes) -> str | None:
    """The first line that libjpeg says; None of a picture in which it finds nothing wrong.

    For a process with one thread, whose stderr it diverts meanwhile.
    """
    said, stderr = os.memfd_create("jpeg"), os.dup(STDERR)
    os.dup2(said, STDERR)
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    finally:
        os.dup2(stderr, STDERR)
        os.close(stderr)
    try:
        lines = os.pread(said, 4096, 0).decode(errors="replace").splitlines()
    finally:
        os.close(said)
    if lines:
        return lines[0]
    return None if picture is not None else "libjpeg decodes nothing"
