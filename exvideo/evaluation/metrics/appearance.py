"""What frames look like, and how that changes from the first to the last."""

import cv2
import numpy as np
from skimage.metrics import structural_similarity

from exvideo.evaluation.metrics.along_flow import follow


def warping_error(frames: np.ndarray, flow: np.ndarray, visible: np.ndarray | None = None) -> float:
    """Mean |I(t+1)(x + f(x)) - I(t)(x)| over pixels in [0, 1] whose target lies in the frame.

    With `visible`, over those alone that are seen in both frames, as in Lai et al. (2018), who take
    squares. NaN where no pixel is left.
    """
    total, count = 0.0, 0
    for t in range(len(flow)):
        here, there = (frames[n].transpose(2, 0, 1)[None].astype(np.float32) for n in (t, t + 1))
        ahead, inside = follow(there, flow[t : t + 1])
        counted = inside[0] if visible is None else inside[0] & visible[t]
        errors = np.abs(ahead - here)[0].mean(axis=0)[counted]
        total, count = total + float(errors.sum(dtype=np.float64)), count + len(errors)
    return total / count / 255 if count else float("nan")


def temporal_flickering(frames: np.ndarray) -> float:
    """1 - mean |I(t+1) - I(t)|, pixels in [0, 1]: 1 is a still clip.

    As in VBench 0.1.5 (Huang et al., 2024; `temporal_flickering.py`), which takes it of clips whose
    prompts ask for no motion: in others it counts the motion, too. NaN for a single frame.
    """
    differences = frame_differences(frames)
    return float(1 - differences.mean() / 255) if len(differences) else float("nan")


def frame_differences(frames: np.ndarray) -> np.ndarray:
    """Mean |I(t+1) - I(t)| of each pair of frames in grey levels (of 255), [T-1]."""
    return np.array(
        [cv2.absdiff(frames[t], frames[t + 1]).mean() for t in range(len(frames) - 1)], np.float64
    )


def psnr(frame: np.ndarray, reference: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two uint8 images in dB; infinite where they are equal."""
    error = np.square(frame.astype(np.float64) - reference.astype(np.float64)).mean()
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def ssim(frame: np.ndarray, reference: np.ndarray) -> float:
    """Structural similarity (Wang et al., 2004) of two uint8 images by scikit-image: 1 is equal.

    Over windows of 7 pixels, the mean over the channels. NaN for images smaller than a window.
    """
    if min(frame.shape[:2]) < 7:
        return float("nan")
    return float(structural_similarity(frame, reference, channel_axis=2, data_range=255))


def frame_contrast(frames: np.ndarray) -> np.ndarray:
    """Standard deviation of each frame's pixels in [0, 1], [T]: a collapsing clip falls to 0."""
    return np.array([frame.std(dtype=np.float64) for frame in frames]) / 255


def colour_drift(frames: np.ndarray) -> float:
    """How far the frames' mean colour moves in CIELAB from the first to the last: 2 is just seen.

    By a straight line through all frames, so that what goes there and back is no drift.
    """
    means = np.array(
        [
            cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2Lab).mean(axis=(0, 1))
            for frame in frames
        ]
    )
    return float(np.linalg.norm(_trend(means)))


def contrast_drift(frames: np.ndarray) -> float:
    """By how many powers of two the contrast changes from first to last frame: -1 halves it.

    By a straight line through the logarithms of all frames. NaN if a frame has no contrast at all.
    """
    return _log_trend(frame_contrast(frames))


def sharpness_drift(frames: np.ndarray) -> float:
    """By how many powers of two the sharpness changes from the first frame to the last.

    Sharpness is the standard deviation of the Laplacian (Pech-Pacheco et al., 2000, who square it)
    over that of the grey image, so that it does not follow the contrast.
    """
    return _log_trend(np.array([_sharpness(frame) for frame in frames]))


def grayness(frames: np.ndarray) -> float:
    """1 - mean chroma (largest less smallest channel, in [0, 1]): 1 has no colour at all."""
    chroma = [np.ptp(frame, axis=2).mean() for frame in frames]
    return float(1 - np.mean(chroma) / 255)


def _sharpness(frame: np.ndarray) -> float:
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    contrast = grey.std()
    return float(cv2.Laplacian(grey, cv2.CV_32F).std() / contrast) if contrast else 0.0


def _log_trend(values: np.ndarray) -> float:
    return float(_trend(np.log2(values))) if (values > 0).all() else float("nan")


def _trend(values: np.ndarray) -> np.ndarray:
    """The change from first to last of a least-squares line through `values` [T, ...]."""
    time = np.arange(len(values)) - (len(values) - 1) / 2
    if len(values) < 2:
        return np.full(values.shape[1:], np.nan)
    return np.tensordot(time, values, axes=1) / np.square(time).sum() * (len(values) - 1)
