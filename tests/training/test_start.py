"""A training begins with the base, or goes on from the champion that other latents have made."""

from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from upath import UPath

from exvideo.errors import InputError
from exvideo.evaluation.gate import Judgement
from exvideo.lineage import trace
from exvideo.registry import Registry, Version
from pipelines.training_start import started_from
from tests.training.stage import StageRun


@pytest.fixture
def stage(tmp_path: Path, trained_here: None) -> StageRun:
    """Its preset asks to go on from the champion."""
    return StageRun(tmp_path / "root", start="champion", steps=2, validate_every=1)


def losses(stage: StageRun) -> list[float]:
    return [row["validation_loss"] for row in stage.rows() if "validation_loss" in row]


def promoted(stage: StageRun) -> Version:
    """The last training's version, as the champion."""
    registry = Registry(stage.preset)
    version = registry.of_weights(stage.receipt.digest)
    registry.promote(version)
    return version


def begins_with(stage: StageRun) -> str | None:
    """The version that the next training would begin with."""
    latents = stage.receipt.inputs["latent_shards"]
    version = started_from(stage.preset, latents)
    return version.number if version else None


def test_a_training_begins_where_the_champion_of_other_latents_ended(stage: StageRun) -> None:
    assert "begins with" not in stage.run_here(), "there is no champion"
    first, ended = promoted(stage), losses(stage)[-1]
    weights = load_file(stage.output("extension"))

    stage.give_latents(left_out=1)
    assert f"begins with version {first.number}" in stage.run_here()
    assert losses(stage)[0] == pytest.approx(ended, rel=1e-6)
    assert losses(stage)[-1] != pytest.approx(ended, rel=1e-6)
    started = stage.scratch("start.safetensors")
    assert started is not None
    for name, tensor in load_file(started).items():
        torch.testing.assert_close(tensor, weights[name], rtol=0, atol=0)
    second = Registry(stage.preset).of_weights(stage.receipt.digest)
    assert second.tags["started_from"] == first.sha256
    assert first.sha256[:12] in second.card


def test_who_becomes_the_champion_is_not_trained_again(stage: StageRun) -> None:
    stage.run_here()
    first = promoted(stage)
    assert begins_with(stage) is None, "these latents made it: from the base, as it did"
    assert "up to date" in stage.run_here()

    stage.give_latents(left_out=1)
    stage.run_here()
    promoted(stage)
    assert begins_with(stage) == first.number
    assert "up to date" in stage.run_here()
    Registry(stage.preset).roll_back("it drifts")
    assert "up to date" in stage.run_here()


def test_a_refused_model_is_not_gone_on_from(stage: StageRun) -> None:
    stage.run_here()
    first = promoted(stage)
    stage.give_latents(left_out=1)
    stage.run_here()
    refused = Registry(stage.preset).of_weights(stage.receipt.digest)
    Registry(stage.preset).judge(refused, Judgement(kind="veto", reason="it flickers"))

    stage.give_latents(left_out=2)
    assert f"begins with version {first.number}" in stage.run_here()


def test_weights_that_are_gone_or_changed_are_told_of(stage: StageRun) -> None:
    stage.run_here()
    weights = Path(promoted(stage).tags["weights"])
    stage.give_latents(left_out=1)
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(InputError, match="is not what version 1 was registered with"):
        stage.run_here()
    weights.unlink()
    with pytest.raises(InputError, match="weights of version 1 are gone from"):
        stage.run_here()


def test_a_champion_of_another_form_is_refused(stage: StageRun) -> None:
    stage.run_here()
    promoted(stage)
    stage.give_latents(left_out=1)
    document = yaml.safe_load(stage.preset_file.read_text())
    document["model"]["conv"] = "depthwise"
    stage.preset_file.write_text(yaml.safe_dump(document))
    with pytest.raises(InputError, match="conv='dense', the model has conv="):
        stage.run_here()


def test_the_lineage_names_what_a_model_began_with(stage: StageRun) -> None:
    stage.run_here()
    first = promoted(stage)
    stage.give_latents(left_out=1)
    stage.run_here()
    told = dict(trace(stage.output("extension"), UPath(stage.root)).summary())
    assert told["began with"] == first.sha256


def test_from_the_base_no_registry_is_asked(tmp_path: Path, trained_here: None) -> None:
    stage = StageRun(tmp_path / "root", steps=2)
    stage.run_here()
    promoted(stage)
    stage.give_latents(left_out=1)
    assert "begins with" not in stage.run_here()
