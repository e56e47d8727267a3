"""Means, their errors and differences, against values worked out by hand."""

import numpy as np
import pytest

from exvideo.evaluation.flow import ClipFlow
from exvideo.evaluation.intervals import MIN_CLIPS
from exvideo.evaluation.numbers import DEFINITIONS, Numbers, SampleNumbers, measure, summarise
from exvideo.evaluation.protocol import Protocol


def sample(clip_id: str, seed: int, jitter: float | None, phase: str = "after") -> SampleNumbers:
    values = {**dict.fromkeys(DEFINITIONS, 1.0), "jitter": jitter}
    return SampleNumbers(
        phase=phase, step=6, clip_id=clip_id, seed=seed, values=values,
        speed=[1.0, 1.0], shake=[0.0], contrast=[0.2] * 3,
    )  # fmt: skip


def numbers(samples: list[SampleNumbers], **motion: list[np.ndarray]) -> Numbers:
    protocol = Protocol(estimator="raft", flow_weights="0", torch="2", device="cpu")
    return summarise(samples, motion, protocol=protocol, num_frames=3, fps=24, period=8)


def still(size: int = 16) -> ClipFlow:
    raft, sampled, dis = np.zeros((3, 4, 2, size, size), np.float32)
    return ClipFlow(raft, np.ones((4, size, size), bool), sampled, dis)


def test_errors_are_over_the_means_of_seeds_and_of_clips() -> None:
    samples = [sample("a", 0, 1.0), sample("b", 0, 2.0), sample("a", 1, 3.0), sample("b", 1, 6.0)]
    jitter = numbers(samples).summary["after"]["jitter"]
    assert jitter.mean == 3.0
    # Seeds' means are 1.5 and 4.5, clips' 2 and 4: half their distances.
    assert jitter.standard_error_seeds == pytest.approx(1.5)
    assert jitter.standard_error_clips == pytest.approx(1.0)


def test_one_seed_has_no_error_over_seeds() -> None:
    summary = numbers([sample("a", 0, 1.0), sample("b", 0, 2.0)]).summary
    assert summary["after"]["jitter"].standard_error_seeds is None


def test_a_clip_without_jitter_does_not_count_in_its_mean() -> None:
    summary = numbers([sample("a", 0, 1.0), sample("b", 0, None)]).summary
    assert (summary["after"]["jitter"].mean, summary["after"]["jitter"].samples) == (1.0, 1)
    assert summary["after"]["flow_speed"].samples == 2


def test_phases_keep_their_order() -> None:
    samples = [sample("a", 0, 1.0, phase) for phase in ("before", "middle", "after")]
    assert list(numbers(samples).summary) == ["before", "middle", "after"]


def test_a_mean_of_enough_clips_has_an_interval_around_it() -> None:
    few = numbers([sample(str(clip), 0, clip) for clip in range(MIN_CLIPS - 1)])
    assert few.summary["after"]["jitter"].interval is None
    enough = numbers([sample(str(clip), 0, clip) for clip in range(MIN_CLIPS)])
    low, high = enough.summary["after"]["jitter"].interval or (0, 0)
    assert low < 2 < high


def test_phases_are_compared_with_the_first_generated_one_clip_by_clip() -> None:
    # Clips differ by far more than phases do; each falls by 0.1 but for one without its pair.
    before = [sample(str(clip), 0, 10.0 * clip, "before") for clip in range(6)]
    after = [sample(str(clip), 0, 10.0 * clip - 0.1) for clip in range(6)]
    unpaired = sample("6", 0, 99.0)
    real = [sample("0", 0, 5.0, "real")]
    found = numbers([*real, *before, *after, unpaired]).differences
    assert list(found) == ["after"]
    jitter = found["after"]["jitter"]
    assert (jitter.mean, jitter.samples) == (pytest.approx(-0.1), 6)
    assert jitter.interval == pytest.approx((-0.1, -0.1))


def test_motion_is_compared_with_that_of_the_real_clips() -> None:
    rows = np.random.default_rng(0).normal(size=(3, 8))
    samples = [sample("a", 0, 1.0, phase) for phase in ("real", "before", "after")]
    found = numbers(samples, real=[rows[:2], rows[2:]], before=[rows + 1.0], after=[rows[:1]])
    assert found.motion_distance == {"before": pytest.approx(8), "after": None}
    assert found.distances("before") == {"motion_distance": pytest.approx(8)}, "none by I3D"
    assert found.distances("real") == {"motion_distance": None}


def test_video_features_are_compared_with_those_of_the_real_clips() -> None:
    """Equal covariances: the squared distance of the means is left, 3 x 4 of three features."""
    rows = np.random.default_rng(0).normal(size=(4, 3))
    samples = [sample("a", 0, 1.0, phase) for phase in ("real", "before", "after")]
    features = {"real": list(rows), "before": list(rows + 2.0), "after": list(rows)}
    protocol = Protocol(estimator="raft", flow_weights="0", torch="2", device="cpu")
    found = summarise(
        samples, {}, features=features, protocol=protocol, num_frames=9, fps=24, period=8
    )
    assert found.fvd == {"before": pytest.approx(12), "after": pytest.approx(0, abs=1e-9)}
    assert numbers(samples).fvd == {}


def test_numbers_survive_their_json() -> None:
    before = numbers([sample("a", 0, None)], real=[np.zeros((0, 8))], after=[np.zeros((0, 8))])
    assert Numbers.model_validate_json(before.model_dump_json()) == before


def test_a_still_clip_is_measured_without_nan() -> None:
    frames = np.full((5, 16, 16, 3), 90, np.uint8)
    found = measure(frames, still(), frames[0], 8, phase="before", step=0, clip_id="a", seed=0)
    undefined = {name for name, value in found.values.items() if value is None}
    assert undefined == {
        "jitter", "camera_jitter", "path_straightness", "flow_coherence", "dis_jitter",
        "dis_camera_jitter", "dis_path_straightness",
        "contrast_drift", "sharpness_drift", "repetition",
        "first_frame_psnr",
        "subject_consistency", "background_consistency", "i2v_subject", "i2v_background",
            "imaging_quality", "motion_smoothness",
    }, "equal images have no finite PSNR; plain ones no contrast; no network is here"  # fmt: skip
    assert found.values["warping_error"] == 0
    assert found.values["frozen_tail"] == 1
    assert found.values["dynamic_degree"] == 0


def test_each_value_stands_under_its_name() -> None:
    flow = still()
    flow.raft[:, 0] = 2.0
    flow.dis[:, 0] = 3.0
    flow.visible[:, :8] = False
    frames = np.full((5, 16, 16, 3), 90, np.uint8)
    found = measure(frames, flow, frames[0], 8, phase="before", step=0, clip_id="a", seed=0)
    assert found.values["flow_speed"] == 2
    assert found.values["visible"] == 0.5
    assert found.values["dis_flow_speed"] == 3
    assert set(found.values) == set(DEFINITIONS)
