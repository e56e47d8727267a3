"""Blur."""

import cv2
import numpy as np

from exvideo.clips.filters.filter import Filter
from exvideo.clips.filters.footage import Footage

FRAMES = 8


def sharpness(footage: Footage) -> float:
    """Variance of the Laplacian of grey levels, the median of eight frames of at most 256 px.

    Pech-Pacheco et al. (2000). It grows with contrast, and falls with the size at which a picture
    was sharp: a clip that was enlarged fourfold scores as low as one that is out of focus.
    """
    small = footage.small
    chosen = np.linspace(0, len(small) - 1, FRAMES).round().astype(int)
    return float(np.median([cv2.Laplacian(small[i], cv2.CV_64F).var() for i in chosen]))


FILTER = Filter("sharpness", "blurred", sharpness, "at least", 15.0)
