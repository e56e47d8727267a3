from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from exvideo.video.write import write_mp4
from exvideo.world import TRAIN_PHOTOGRAPHS, random_spec, render_clip

COLOURS = [(220, 30, 40), (20, 200, 60), (40, 50, 210), (200, 120, 40), (128, 128, 128)]


def flat_frames(height: int = 48, width: int = 64) -> np.ndarray:
    return np.stack([np.full((height, width, 3), colour, np.uint8) for colour in COLOURS])


def test_another_decoder_reads_the_same_frames(tmp_path: Path) -> None:
    frames = flat_frames()
    write_mp4(tmp_path / "flat.mp4", frames, fps=24)
    with av.open(str(tmp_path / "flat.mp4")) as container:
        read = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
    assert read.shape == frames.shape
    assert np.abs(read.astype(int) - frames).max() <= 4


def test_browsers_can_play_it_before_the_download_ends(tmp_path: Path) -> None:
    write_mp4(tmp_path / "flat.mp4", flat_frames(), fps=30000 / 1001)
    content = (tmp_path / "flat.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(str(tmp_path / "flat.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.pix_fmt == "yuv420p"
        assert stream.average_rate == Fraction(30000, 1001)


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    frames = render_clip(random_spec(8, TRAIN_PHOTOGRAPHS), 12, 96, 96).frames
    written = set()
    for _ in range(30):  # with AVX-512, every other time differed
        write_mp4(tmp_path / "clip.mp4", frames, fps=24)
        written.add((tmp_path / "clip.mp4").read_bytes())
    assert len(written) == 1


@pytest.mark.parametrize(
    "frames",
    [np.zeros((2, 47, 64, 3), np.uint8), np.zeros((0, 48, 64, 3), np.uint8), np.zeros((2, 48, 64))],
)
def test_frames_that_the_format_cannot_hold_are_refused(tmp_path: Path, frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match="frames"):
        write_mp4(tmp_path / "refused.mp4", frames, fps=24)
    assert not list(tmp_path.iterdir())
