"""Who may become the champion: each rule against numbers whose answer is plain."""

from collections.abc import Mapping
from typing import Any

import pytest

from exvideo.config import GateConfig
from exvideo.evaluation.gate import Finding, Judgement, Verdict, decide
from exvideo.evaluation.intervals import MIN_CLIPS
from exvideo.evaluation.numbers import DEFINITIONS, Numbers, SampleNumbers, summarise
from exvideo.evaluation.protocol import Protocol

GATE = GateConfig()


def sample(phase: str, clip: int, values: Mapping[str, float | None]) -> SampleNumbers:
    return SampleNumbers(
        phase=phase, step=6, clip_id=str(clip), seed=0,
        values={**dict.fromkeys(DEFINITIONS, 1.0), **values},
        speed=[1.0, 1.0], shake=[0.0], contrast=[0.2] * 3,
    )  # fmt: skip


def model(
    clips: int = 8, num_frames: int = 3, protocol: Mapping[str, Any] | None = None, **values: Any
) -> Numbers:
    """Clips of the same real ones; a value is one for all, or one a clip."""
    known = {"estimator": "raft", "flow_weights": "0", "torch": "2", "device": "cpu"}
    samples = [sample("real", clip, {"flow_speed": 1.0}) for clip in range(clips)]
    for clip in range(clips):
        own = {k: v[clip] if isinstance(v, list) else v for k, v in values.items()}
        samples.append(sample("after", clip, own))
    return summarise(
        samples,
        {},
        protocol=Protocol(**known | dict(protocol or {})),
        num_frames=num_frames,
        fps=24,
        period=8,
    )


def finding(verdict: Verdict, rule: str) -> Finding:
    [found] = [it for it in verdict.findings if it.rule == rule]
    return found


def failed(verdict: Verdict) -> list[str]:
    return [it.rule for it in verdict.findings if not it.passed]


def test_the_first_model_that_moves_needs_no_champion() -> None:
    verdict = decide(model(), None, GATE)
    assert verdict.passes
    assert "no champion yet" in verdict.reason


def test_a_model_that_hardly_moves_is_refused_however_calm_its_clips_are() -> None:
    verdict = decide(model(flow_speed=0.2, jitter=0.0, warping_error=0.0), model(), GATE)
    assert failed(verdict) == ["motion"]
    assert finding(verdict, "motion").figure == pytest.approx(0.2)
    assert finding(verdict, "motion").limit == pytest.approx(0.25)


def test_clips_that_stand_still_are_counted_though_they_have_no_jitter() -> None:
    jitter = [None, None, *[0.5] * 6]
    verdict = decide(model(jitter=jitter), model(), GATE)
    assert failed(verdict) == ["still clips"]
    assert finding(verdict, "still clips").figure == pytest.approx(0.25)


def test_an_equal_model_is_not_worse() -> None:
    verdict = decide(model(), model(), GATE)
    assert verdict.passes
    assert [it.rule for it in verdict.findings] == [
        "motion", "still clips", "same protocol", "jitter", "warping error", "first frame psnr",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"jitter": 1.2}, "jitter"),
        ({"warping_error": 1.2}, "warping error"),
        ({"first_frame_psnr": 0.4}, "first frame psnr"),
    ],
)
def test_what_is_worse_beyond_the_margin_is_refused_by_its_rule(
    values: dict[str, float], rule: str
) -> None:
    verdict = decide(model(**values), model(), GATE)
    assert failed(verdict) == [rule]
    assert verdict.reason.startswith(f"{rule}: ")


def test_what_is_worse_within_the_margin_passes() -> None:
    assert decide(model(jitter=1.09, first_frame_psnr=0.6), model(), GATE).passes


def test_clips_are_compared_in_pairs_so_that_what_tells_clips_apart_falls_away() -> None:
    # Clips differ by a hundred times the margin; each of them is better by a hundredth.
    before = [1.0 + 10 * clip for clip in range(8)]
    verdict = decide(model(jitter=[it - 0.01 for it in before]), model(jitter=before), GATE)
    assert verdict.passes
    assert finding(verdict, "jitter").interval == pytest.approx((-0.01, -0.01))


def test_a_mean_within_the_margin_does_not_do_where_the_interval_reaches_beyond() -> None:
    # The mean is 1.05 and the margin 1.1, but one clip in eight is far worse.
    verdict = decide(model(jitter=[1.4, *[1.0] * 7]), model(), GATE)
    assert failed(verdict) == ["jitter"]
    assert finding(verdict, "jitter").figure == pytest.approx(0.05)


def test_another_protocol_is_refused_by_name_and_nothing_is_compared() -> None:
    verdict = decide(model(), model(protocol={"torch": "1"}), GATE)
    assert failed(verdict) == ["same protocol"]
    assert "torch 2 and 1" in verdict.reason
    assert "the champion is to be measured anew" in verdict.reason
    assert "jitter" not in {it.rule for it in verdict.findings}


@pytest.mark.parametrize(
    ("champion", "said"),
    [({"num_frames": 4}, "frames 3 and 4"), ({"clips": 7}, "first frames or seeds")],
)
def test_clips_of_another_length_or_other_first_frames_do_not_compare(
    champion: dict[str, int], said: str
) -> None:
    verdict = decide(model(), model(**champion), GATE)
    assert failed(verdict) == ["same protocol"]
    assert said in verdict.reason


def test_too_few_clips_are_refused_with_the_number_needed() -> None:
    verdict = decide(model(clips=2), model(clips=2), GATE)
    assert failed(verdict) == ["jitter", "warping error", "first frame psnr"]
    assert f"2 first frames that both move from are too few for an interval: {MIN_CLIPS}" in (
        finding(verdict, "jitter").reason
    )


def test_a_champion_whose_clips_all_stand_still_is_nothing_to_compare_with() -> None:
    verdict = decide(model(), model(jitter=None), GATE)
    assert failed(verdict) == ["jitter"]


def test_a_persons_veto_outweighs_good_figures_and_a_sign_off_bad_ones() -> None:
    veto = Judgement(kind="veto", reason="faces melt")
    assert not decide(model(), model(), GATE, veto).passes
    sign_off = Judgement(kind="sign-off", reason="sharper, worth the jitter")
    verdict = decide(model(jitter=2.0), model(), GATE, sign_off)
    assert verdict.passes
    assert verdict.reason == "sign-off by a person: sharper, worth the jitter"
    assert failed(verdict) == ["jitter"], "the figures are told all the same"
