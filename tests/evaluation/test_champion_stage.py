"""The gate's stage, from two models' evaluations to the registry's alias."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exvideo.config import GateConfig, Preset, RetrainingConfig
from exvideo.errors import InputError
from exvideo.evaluation.gate import Judgement
from exvideo.evaluation.numbers import Numbers
from exvideo.registry import Registry
from exvideo.sources.file_digests import sha256_of
from exvideo.tracking import TrackedRun
from pipelines import champion, evaluation_grid
from pipelines.stage import Job, StageInput
from tests.evaluation.test_stage import job, preset  # noqa: F401 - fixtures


def registered(evaluation: Job, name: str) -> tuple[str, str]:
    """A version of the model in `name`.safetensors; returns its number and its digest."""
    weights = evaluation.inputs["post_tuned_model"].folder / f"{name}.safetensors"
    digest = sha256_of(Path(str(weights)))
    run = TrackedRun.open_or_resume(evaluation.preset, name, name)
    tags = {"sha256": digest, "weights": str(weights)}
    version = run.register_model(evaluation.preset.tracking.experiment, "training", "card", tags)
    return version, digest


def gate_job(evaluation: Job, digest: str, evaluated: str | None = None) -> Job:
    """The gate's job for the model with that digest, evaluated in `evaluation`."""
    model = evaluation.inputs["post_tuned_model"]
    receipt = model.receipt.model_copy(update={"digest": digest})
    of_evaluation = receipt.model_copy(
        update={
            "stage": "evaluation_grid",
            "files": evaluation_grid.FILES,
            "inputs": {"post_tuned_model": evaluated or digest},
        }
    )
    inputs = {
        **evaluation.inputs,
        "post_tuned_model": StageInput(model.folder, receipt),
        "evaluation_grid": StageInput(evaluation.output, of_evaluation),
    }
    # Random models hardly move.
    gate = GateConfig(least_motion=0, most_still_clips=1)
    of = evaluation.preset.model_copy(update={"retraining": RetrainingConfig(gate=gate)})
    output = evaluation.output / "champion"
    return replace(evaluation, preset=of, inputs=inputs, output=output)


def alias(of: Preset) -> str | None:
    found = Registry(of).champion()
    return found.number if found else None


def test_the_gate_decides_respects_people_and_measures_anew_what_does_not_compare(
    job: Job,  # noqa: F811
    preset: Preset,  # noqa: F811
) -> None:
    evaluation_grid.run(job)
    (first, first_digest), (second, second_digest) = (
        registered(job, name) for name in ("middle", "extension")
    )
    with pytest.raises(InputError, match="the last evaluation is of another model"):
        champion.run(gate_job(job, first_digest, evaluated=second_digest))
    # Nobody stands in the first one's way.
    assert champion.run(gate_job(job, first_digest)).figures["passes"] is True
    assert alias(preset) == first

    # Two first frames are too few to tell the second from it, so that it is refused with reason.
    before = champion.fingerprint(preset)
    outcome = champion.run(gate_job(job, second_digest))
    assert "5 are needed" in str(outcome.figures["reason"])
    assert (outcome.figures["passes"], alias(preset)) == (False, first)
    registry = Registry(preset)
    assert registry.version(second).tags["gate.verdict"].startswith("refused: ")

    # A person's word makes the stage look again, and outweighs that.
    registry.judge(registry.version(second), Judgement(kind="sign-off", reason="sharper"))
    assert champion.fingerprint(preset) != before
    outcome = champion.run(gate_job(job, second_digest))
    assert (outcome.figures["passes"], alias(preset)) == (True, second)
    outcome = champion.run(gate_job(job, second_digest))
    assert outcome.figures["reason"] == f"version {second} is the champion already"
    registry.roll_back("faces melt")
    outcome = champion.run(gate_job(job, second_digest))
    assert (outcome.figures["reason"], alias(preset)) == ("veto by a person: faces melt", first)

    # The champion's numbers are of another protocol now.
    numbers = Numbers.model_validate_json((job.output / "numbers.json").read_bytes())
    old = numbers.protocol.model_copy(update={"torch": "0.1"})
    stale = numbers.model_copy(update={"protocol": old})
    registry.keep_numbers(registry.version(first), stale.model_dump(mode="json"))
    champion.run(gate_job(job, second_digest))
    said: Any = job.progress
    assert any(f"measuring version {first} anew: torch " in it for it in said.said)
    verdict = json.loads((job.output / "champion" / "verdict.json").read_bytes())
    [protocol] = [it for it in verdict["findings"] if it["rule"] == "same protocol"]
    assert protocol["passed"], "it has been measured as the new model was"

    weights = Path(registry.version(first).tags["weights"])
    weights.write_bytes(b"other" + weights.read_bytes())
    with pytest.raises(InputError, match="is not what version"):
        champion.run(gate_job(job, second_digest))
    weights.unlink()
    with pytest.raises(InputError, match="weights of version 1 are gone"):
        champion.run(gate_job(job, second_digest))
