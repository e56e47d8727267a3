"""The champion among a preset's model versions, over MLflow's embedded store."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from mlflow import MlflowClient

from exvideo.config import Preset, load_preset
from exvideo.errors import InputError
from exvideo.evaluation.gate import Finding, Judgement, Verdict
from exvideo.registry import Registry
from exvideo.tracking import TrackedRun, tracking_uri
from pipelines.cli import main


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all tests here: MLflow's migrations take seconds."""
    return tmp_path_factory.mktemp("root")


@pytest.fixture
def preset(root: Path, request: pytest.FixtureRequest) -> Preset:
    """A model of the test's own, with three versions and no champion."""
    name = request.node.name[:60]
    preset = load_preset("tiny", {"storage.root": str(root), "tracking.experiment": name})
    for number in range(1, 4):
        run = TrackedRun.open_or_resume(preset, f"key-{number}", "training")
        run.register_model(name, "training", "the card", {"sha256": str(number) * 64})
    return preset


@pytest.fixture
def registry(preset: Preset) -> Registry:
    return Registry(preset)


def champion(registry: Registry) -> str | None:
    found = registry.champion()
    return found.number if found else None


def command(preset: Preset, *words: str) -> int:
    sets = {"storage.root": preset.storage.root, "tracking.experiment": preset.tracking.experiment}
    options: Sequence[str] = [part for k, v in sets.items() for part in ("--set", f"{k}={v}")]
    return main([*words, *options])


def test_a_model_that_nobody_registered_has_no_champion(root: Path) -> None:
    settings = {"storage.root": str(root), "tracking.experiment": "unknown"}
    assert Registry(load_preset("tiny", settings)).champion() is None


def test_the_alias_names_the_champion(preset: Preset, registry: Registry) -> None:
    assert champion(registry) is None
    registry.promote(registry.of_weights("2" * 64))
    assert champion(registry) == "2"
    client = MlflowClient(tracking_uri(preset))
    assert client.get_model_version_by_alias(registry.name, "champion").version in (2, "2")


def test_rolling_back_restores_the_one_before_and_keeps_the_gate_from_the_fallen(
    registry: Registry,
) -> None:
    for number in ("1", "2", "3"):
        registry.promote(registry.version(number))
    registry.roll_back("faces melt")
    assert champion(registry) == "2"
    assert registry.version("3").judgement == Judgement(kind="veto", reason="faces melt")
    registry.roll_back("worse than before")
    assert champion(registry) == "1"
    with pytest.raises(InputError, match="version 1 is the first champion"):
        registry.roll_back("again")
    assert champion(registry) == "1"


def test_promoting_the_champion_again_does_not_forget_who_was_before(registry: Registry) -> None:
    registry.promote(registry.version("1"))
    registry.promote(registry.version("2"))
    registry.promote(registry.version("2"))
    registry.roll_back("faces melt")
    assert champion(registry) == "1"


def test_the_reasons_stand_on_the_version_once(registry: Registry) -> None:
    finding = Finding(rule="jitter", passed=False, reason="+0.3 against the champion")
    for reason in ("first try", "second try"):
        verdict = Verdict(passes=False, reason=reason, findings=(finding,))
        registry.tell(registry.version("1"), verdict)
    version = registry.version("1")
    assert version.tags["gate.verdict"] == "refused: second try"
    assert version.card.startswith("the card")
    assert "| jitter | no | +0.3 against the champion |" in version.card
    assert "first try" not in version.card


def test_numbers_stay_with_their_version(registry: Registry) -> None:
    assert registry.kept_numbers(registry.version("1")) is None
    registry.keep_numbers(registry.version("1"), {"fps": 24})
    assert '"fps": 24' in (registry.kept_numbers(registry.version("1")) or "")
    assert registry.kept_numbers(registry.version("2")) is None


def test_a_person_promotes_and_rolls_back_by_one_command_each(
    preset: Preset, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(preset, "promote", "1") == 0
    assert command(preset, "promote", "2", "--because", "sharper") == 0
    assert registry.version("2").judgement == Judgement(kind="sign-off", reason="sharper")
    assert champion(registry) == "2"
    assert command(preset, "rollback", "--because", "faces melt") == 0
    assert champion(registry) == "1"
    assert "version 1 of" in capsys.readouterr().out


def test_a_vetoed_version_is_not_promoted_until_the_veto_is_lifted(
    preset: Preset, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(preset, "veto", "3", "--because", "faces melt") == 0
    assert command(preset, "promote", "3") == 2
    assert "version 3 has a veto: faces melt" in capsys.readouterr().err
    assert champion(registry) is None
    assert command(preset, "veto", "3", "--lift") == 0
    assert command(preset, "promote", "3") == 0
    assert champion(registry) == "3"


def test_a_version_that_is_not_there_is_refused_with_those_that_are(
    preset: Preset, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(preset, "promote", "9") == 2
    assert "has no version 9; there are: 3, 2, 1" in capsys.readouterr().err
