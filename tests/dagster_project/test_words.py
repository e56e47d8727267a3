"""What of a run's event log people read on the terminal."""

import os
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.preset import PresetResource
from dagster_project.words import Words
from exvideo.screen import Screen


@dg.asset
def clips(context: dg.AssetExecutionContext) -> None:
    context.log.info("12 clips")
    context.log.info("clips: 3/12 clips, seconds 0.5")
    context.log.debug("nobody's business")


@dg.asset
def broken() -> None:
    raise RuntimeError("no shard was written")


@dg.asset(deps=[broken])
def after_broken() -> None:
    raise AssertionError("never reached")


@dg.asset
def configured(preset: PresetResource) -> None:
    raise AssertionError("never reached")


@dg.asset_check(asset=clips, blocking=True)
def enough(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, metadata={"clips kept": 0})


@dg.asset_check(asset=clips)
def falls() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=False, severity=dg.AssetCheckSeverity.WARN, description="nothing was held out"
    )


@pytest.fixture
def screen_of(tmp_path: Path) -> Callable[..., list[str]]:
    def lines(*definitions: object, **resources: object) -> list[str]:
        with dg.DagsterInstance.ephemeral() as instance:
            run = dg.materialize(
                definitions, instance=instance, resources=resources, raise_on_error=False
            )
            events = instance.all_logs(run.run_id)
        file = tmp_path / "screen"
        with Screen(os.open(file, os.O_CREAT | os.O_WRONLY)) as screen:
            words = Words(screen)
            for event in events:
                words.show(event)
        return file.read_text().splitlines()

    return lines


def test_a_stages_messages_and_progress_are_shown_under_its_name(
    screen_of: Callable[..., list[str]],
) -> None:
    assert screen_of(clips) == ["clips: 12 clips", "clips: 3/12 clips, seconds 0.5"]


def test_checks_tell_their_verdict_and_what_it_rests_on(
    screen_of: Callable[..., list[str]],
) -> None:
    lines = screen_of(clips, enough, falls)
    assert sorted(line for line in lines if "enough" in line or "falls" in line) == [
        "clips: check enough failed: clips kept 0",
        "clips: check falls warns: nothing was held out",
    ]


def test_a_failure_is_told_in_its_own_words_and_what_did_not_run_is_not_listed(
    screen_of: Callable[..., list[str]],
) -> None:
    assert screen_of(broken, after_broken) == ["broken failed: RuntimeError: no shard was written"]


def test_a_run_that_is_refused_before_its_first_step_says_why(
    screen_of: Callable[..., list[str]],
) -> None:
    wrong = PresetResource(name="tiny", overrides={"training.stepz": 5})
    refusal, reason = screen_of(configured, preset=wrong)
    assert refusal.endswith("preset tiny.yaml is refused:")
    assert reason.strip().startswith("training.stepz: there is no such key")
