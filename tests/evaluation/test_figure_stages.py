"""The stages that draw the model at several sizes, and beside other models."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from exvideo.config import PresetError, load_preset
from exvideo.evaluation.first_frames import fitted
from exvideo.tracking import tracking_uri
from pipelines import comparison_grid, resolution_grid
from pipelines.stage import Job
from tests.evaluation.test_folder import video
from tests.evaluation.test_report_page import data
from tests.evaluation.test_stage import SMALL, job, preset  # noqa: F401 - fixtures


def with_settings(job: Job, **settings: Any) -> Job:  # noqa: F811
    evaluation = job.preset.evaluation.model_copy(update=settings)
    return replace(job, preset=job.preset.model_copy(update={"evaluation": evaluation}))


def logged(job: Job) -> set[str]:  # noqa: F811
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri(job.preset))
    run_id = str(job.inputs["post_tuned_model"].receipt.figures["mlflow_run_id"])
    return {Path(it.path).name for it in client.list_artifacts(run_id, "evaluation")}


@pytest.fixture
def sizes(job: Job) -> Job:  # noqa: F811
    sizes = load_preset(
        "tiny",
        {"evaluation.resolutions": [{"height": 32, "width": 32}, {"height": 32, "width": 48}]},
    ).evaluation.resolutions
    return with_settings(job, resolutions=sizes)


def test_the_model_is_shown_at_each_size_from_the_same_first_frames(sizes: Job) -> None:
    outcome = resolution_grid.run(sizes)
    made = {name: (sizes.output / file).read_bytes() for name, file in outcome.files.items()}
    assert made["grid"].startswith(b"\x89PNG")
    assert made["preview"].startswith(b"\xff\xd8")
    assert b"ftyp" in made["video"][:16]
    numbers = json.loads(made["numbers"])
    assert list(numbers["summary"]) == ["32x32", "48x32"]
    assert [it["clip_id"][-1] for it in numbers["samples"]] == ["0", "0"], "grid_clips is 1"
    clips = sorted((sizes.scratch / "clips").iterdir())
    shapes = [np.load(it, mmap_mode="r").shape for it in clips]
    assert shapes == [(10, 32, 32, 3), (10, 32, 48, 3)]
    assert logged(sizes) == set(outcome.files.values())

    stamps = [it.stat().st_mtime_ns for it in clips]
    assert resolution_grid.run(sizes).digest == outcome.digest
    assert [it.stat().st_mtime_ns for it in clips] == stamps


def test_sizes_that_the_base_cant_take_are_refused_with_the_key() -> None:
    with pytest.raises(PresetError, match=r"evaluation\.resolutions\[0\]\.width \(60\)"):
        load_preset("tiny", {"evaluation.resolutions": [{"height": 64, "width": 60}]})


def test_another_aspect_ratio_is_cut_from_the_middle() -> None:
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[10:30] = 200
    assert (fitted(Image.fromarray(picture), 20, 40) == 200).all()


def test_the_model_stands_beside_baselines_and_others_videos(
    job: Job,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(comparison_grid, "BASELINES", ("squeezed",))  # one stands for all
    video(tmp_path / "museum" / "LaVie" / "a cat.mp4", [1.0] * 5, fps=8)
    (tmp_path / "museum" / "broken").mkdir()
    (tmp_path / "museum" / "broken" / "a cat.mp4").write_bytes(b"nothing")
    job = with_settings(job, other_models=str(tmp_path / "museum"), clips=1)
    outcome = comparison_grid.run(job)
    numbers = json.loads((job.output / "comparison.json").read_bytes())
    groups = [numbers["folder"], *(it["other"]["folder"] for it in numbers["against"])]
    assert groups == ["model", "squeezed", str(tmp_path / "museum" / "LaVie")]
    pairs = [it["pairs"] for it in numbers["against"]]
    assert pairs == [1, 0], "LaVie answers another picture"
    page = data((job.output / "comparison.html").read_bytes())
    assert page["columns"][len(groups) - 1]["form"].startswith("6 frames at 8 a second, 0.75 s")
    assert any("broken" in it for it in job.progress.said)  # type: ignore[attr-defined]
    with av.open(str(job.output / "comparison.mp4")) as container:
        assert container.streams.video[0].average_rate == 8, "the fastest video's"
    with av.open(str(job.scratch / "clips" / "model" / f"{0:016x}-0.mp4")) as container:
        assert "exvideo" in container.metadata["comment"], "it tells its lineage"
    assert outcome.figures["protocol"] == dict(page["facts"])["protocol"]


def test_others_videos_that_come_make_the_comparison_stale(tmp_path: Path) -> None:
    video(tmp_path / "museum" / "LaVie" / "a.mp4", [1.0] * 5)
    named = load_preset("tiny", {**SMALL, "evaluation.other_models": str(tmp_path / "museum")})
    before = comparison_grid.fingerprint(named)
    assert before == comparison_grid.fingerprint(named)
    video(tmp_path / "museum" / "LaVie" / "b.mp4", [1.0] * 5)
    assert before != comparison_grid.fingerprint(named)
