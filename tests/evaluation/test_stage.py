"""The stage: from a finished model to the grid, the video and the numbers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.ndimage import gaussian_filter
from torchvision.models.optical_flow import raft_small
from upath import UPath

from exvideo.clips.manifest import Clip, ClipPiece, write_clips
from exvideo.config import Preset, load_preset
from exvideo.models import extend, load_unet, save_extension
from exvideo.models.extension_file import ExtensionMetadata
from exvideo.progress import Silent
from exvideo.receipt import Receipt
from exvideo.tracking import TrackedRun
from exvideo.usage import Meter
from exvideo.video.write import write_mp4
from pipelines.evaluation_grid import run, sections
from pipelines.stage import Job, StageInput
from tests.evaluation.test_report_page import data
from tests.models.tiny import TINY_SVD, randomise

SMALL: dict[str, Any] = {
    "model.base": TINY_SVD.model_dump(),
    "model.table_init": "ping_pong",
    "clips.num_frames": 10,
    "clips.height": 32,
    "clips.width": 32,
    "evaluation.clips": 2,
    "evaluation.sampling_steps": 1,
    "evaluation.fps": 2,
    "evaluation.grid_clips": 1,
    "evaluation.grid_frames": 3,
    "evaluation.flow.iterations": 1,
}


class Listening(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def finished(folder: Path, stage: str, files: dict[str, str], **figures: Any) -> StageInput:
    receipt = Receipt(
        stage=stage,
        key="k",
        folder=folder.name,
        digest="d",
        files=files,
        figures=figures,
        seconds=1,
    )
    return StageInput(UPath(folder), receipt)


@pytest.fixture
def preset(tmp_path: Path) -> Preset:
    torch.manual_seed(0)
    save_file(raft_small(weights=None).state_dict(), tmp_path / "raft.safetensors")
    places = {
        "storage.root": str(tmp_path),
        "evaluation.flow.weights": str(tmp_path / "raft.safetensors"),
    }
    return load_preset("tiny", {**SMALL, **places})


@pytest.fixture
def job(preset: Preset, tmp_path: Path) -> Job:
    videos, clips, model = (tmp_path / name for name in ("videos", "clips", "model"))
    for folder in (videos, clips, model, tmp_path / "output", tmp_path / "scratch"):
        folder.mkdir()
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(10, 32, 32, 3)), (0, 2, 2, 0))
    write_mp4(videos / "a.mp4", np.uint8(np.clip(128 + 500 * noise, 0, 255)), fps=8)
    rows = [
        Clip(
            clip_id=f"{number:016x}", video_id=f"v{number}", source="local", status="kept",
            split="held_out", crop_height=32, crop_width=32, num_frames=10, height=32, width=32,
            pieces=[ClipPiece(path="a.mp4", sha256="0", start_frame=0, num_frames=10)],
        )
        for number in range(2)
    ]  # fmt: skip
    manifest = write_clips(UPath(clips), rows).name
    _write_extensions(preset, model)
    tracked = TrackedRun.open_or_resume(preset, "key", "training")
    return Job(
        preset,
        {
            "source_videos": finished(videos, "source_videos", {}),
            "clips": finished(clips, "clips", {"manifest": manifest}),
            "post_tuned_model": finished(
                model,
                "post_tuned_model",
                {"middle": "middle.safetensors", "extension": "extension.safetensors"},
                mlflow_run_id=tracked.run_id,
            ),
        },
        UPath(tmp_path / "output"),
        "key",
        "work",
        tmp_path / "scratch",
        Listening(),
        Meter(),
    )


def _write_extensions(preset: Preset, folder: Path) -> None:
    unet = extend(load_unet(preset.model.base), preset.clips.num_frames)
    for name, step in (("middle", 3), ("extension", 6)):
        randomise(unet, seed=step, scale=0.02)
        metadata = ExtensionMetadata(
            base_id=unet.config.base_id, num_frames=10, native_frames=8, scaling_factor=0.18215,
            sigma={}, step=step, data_digest="of the shards",
        )  # fmt: skip
        save_extension(unet, folder / f"{name}.safetensors", metadata)


def test_it_draws_measures_and_logs_every_phase_and_a_rerun_keeps_the_clips(
    job: Job, preset: Preset
) -> None:
    outcome = run(job)
    made = {name: (job.output / file).read_bytes() for name, file in outcome.files.items()}
    assert made["grid"].startswith(b"\x89PNG")
    assert b"ftyp" in made["video"][:16]
    assert made["preview"].startswith(b"\xff\xd8")
    assert len(made["preview"]) < 0.3 * len(made["grid"])
    numbers = json.loads(made["numbers"])
    assert [(it["phase"], it["step"]) for it in numbers["samples"][::2]] == [
        ("real", 0), ("before", 0), ("middle", 3), ("after", 6),
    ]  # fmt: skip
    assert numbers["summary"]["real"]["first_frame_psnr"]["mean"] is None, "it is the given one"
    assert outcome.figures["estimator"] == "raft_small, raft.safetensors, 1 iterations"
    assert outcome.figures["flow speed after (pixels a frame)"] == round(
        numbers["summary"]["after"]["flow_speed"]["mean"], 4
    )
    assert outcome.figures["grid contrast"] > 0.01
    assert (numbers["fps"], numbers["period"]) == (2, 12), "there and back over 8 positions"
    assert set(numbers["motion_distance"]) == {"before", "middle", "after"}
    assert set(numbers["differences"]) == {"middle", "after"}

    _assert_logged(job, preset, numbers)
    report = data(made["report"])
    assert dict(report["lineage"])["model"] == "d", "as its receipt says"
    facts = dict(report["facts"])
    assert facts["protocol"] == outcome.figures["protocol"]
    assert (facts["extension"], facts["trained on"]) == (
        "step 6, digest d",
        "latents of the shards",
    )

    stamps = {path: path.stat().st_mtime_ns for path in (job.scratch / "clips").iterdir()}
    assert len(stamps) == 8
    assert run(job).digest == outcome.digest
    assert (job.output / "report.html").read_bytes() == made["report"]
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())


def _assert_logged(job: Job, preset: Preset, numbers: dict[str, Any]) -> None:
    from mlflow import MlflowClient

    from exvideo.tracking import tracking_uri

    client = MlflowClient(tracking_uri(preset))
    run_id = job.inputs["post_tuned_model"].receipt.figures["mlflow_run_id"]
    history = client.get_metric_history(run_id, "evaluation/flow_speed")
    assert {it.step: it.value for it in history} == {
        step: pytest.approx(numbers["summary"][phase]["flow_speed"]["mean"])
        for phase, step in (("before", 0), ("middle", 3), ("after", 6))
    }
    files = {file.path for file in client.list_artifacts(run_id, "evaluation")}
    assert files == {
        f"evaluation/{name}"
        for name in ("grid.png", "grid.jpg", "grid.mp4", "numbers.json", "report.html")
    }


def test_the_output_depends_on_what_shapes_it_and_not_on_the_rest(preset: Preset) -> None:
    def document(**overrides: Any) -> str:
        changed = {key.replace("__", "."): value for key, value in overrides.items()}
        settings = {**SMALL, "evaluation.flow.weights": preset.evaluation.flow.weights, **changed}
        return str(sections(load_preset("tiny", settings)))

    assert document() != document(evaluation__sampling_steps=2)
    assert document() != document(evaluation__precision="float32")
    assert document() == document(clips__workers=7, training__log_every=1)
