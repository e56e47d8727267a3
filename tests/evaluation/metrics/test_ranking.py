"""The suite as a whole, measured from pixels alone: it tells smooth from jittering."""

import numpy as np
import pytest

from exvideo.config import FlowConfig
from exvideo.evaluation import metrics
from exvideo.evaluation.flow import Raft, dis_flow, load_raft
from tests.evaluation.metrics.made_clips import PARALLAX, noisy, panned, there_and_back

FRAMES = 10


@pytest.fixture(scope="module")
def raft() -> Raft:
    weights = "exvideo/weights/raft_small.safetensors"
    return load_raft(FlowConfig(model="raft_small", weights=weights, iterations=5))


@pytest.fixture(scope="module")
def measured(raft: Raft) -> dict[str, dict[str, float]]:
    """Faster shaking than panning, as in the paper's clips before post-tuning."""
    clips = {
        "shake": there_and_back(panned(2.0, FRAMES))[0],
        "pan": panned(1.0, FRAMES).frames,
        "noisy pan": noisy(panned(1.0, FRAMES).frames, 3),
        "parallax": panned(1.0, FRAMES, PARALLAX).frames,
        "still": panned(0.0, 2).frames[[0] * FRAMES],
    }
    return {name: _measure(frames, raft) for name, frames in clips.items()}


def _measure(frames: np.ndarray, raft: Raft) -> dict[str, float]:
    flow, visible = raft.both_ways(frames)
    camera = metrics.camera_flow(flow, visible)
    return {
        "flow_speed": float(metrics.flow_speed(flow).mean()),
        "jitter": metrics.jitter(flow),
        "camera_jitter": metrics.camera_jitter(camera),
        "path_straightness": metrics.path_straightness(camera),
        "flow_coherence": metrics.flow_coherence(flow, visible),
        "dis_jitter": metrics.jitter(dis_flow(frames)),
    }


def test_speed_alone_would_prefer_the_shake(measured: dict[str, dict[str, float]]) -> None:
    assert measured["shake"]["flow_speed"] > 1.5 * measured["pan"]["flow_speed"]


@pytest.mark.parametrize("smooth", ["pan", "noisy pan", "parallax"])
@pytest.mark.parametrize("metric", ["jitter", "camera_jitter", "dis_jitter"])
def test_every_jitter_ranks_what_is_smooth_before_the_shake(
    measured: dict[str, dict[str, float]], smooth: str, metric: str
) -> None:
    assert measured[smooth][metric] < 0.25 * measured["shake"][metric]


@pytest.mark.parametrize("metric", ["jitter", "camera_jitter"])
def test_a_shakes_jitter_is_the_4_that_it_is(
    measured: dict[str, dict[str, float]], metric: str
) -> None:
    assert measured["shake"][metric] == pytest.approx(4, abs=0.2)


@pytest.mark.parametrize("smooth", ["pan", "parallax"])
def test_camera_jitter_has_the_lower_floor(
    measured: dict[str, dict[str, float]], smooth: str
) -> None:
    assert measured[smooth]["camera_jitter"] < 0.1
    assert measured[smooth]["camera_jitter"] < 0.6 * measured[smooth]["jitter"]


def test_straightness_and_coherence_tell_going_on_from_turning_back(
    measured: dict[str, dict[str, float]],
) -> None:
    for smooth in ("pan", "noisy pan", "parallax"):
        assert measured[smooth]["path_straightness"] > 0.95
        assert measured[smooth]["flow_coherence"] > 0.8
    assert measured["shake"]["path_straightness"] < 0.2
    assert measured["shake"]["flow_coherence"] < -0.8


@pytest.mark.parametrize(
    "metric", ["jitter", "camera_jitter", "path_straightness", "flow_coherence"]
)
def test_a_still_clip_has_none_of_them(measured: dict[str, dict[str, float]], metric: str) -> None:
    assert np.isnan(measured["still"][metric])
