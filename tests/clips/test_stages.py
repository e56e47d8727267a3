"""The first two stages as their programs run them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from upath import UPath

from exvideo.config import Preset, load_preset
from exvideo.errors import InputError
from exvideo.progress import Silent
from exvideo.receipt import Receipt, read_receipt
from exvideo.tracking import TrackedRun, artifact_page, tracking_uri
from exvideo.usage import metered
from pipelines.clips import STAGE as CLIPS
from pipelines.curate import main as report
from pipelines.curation_artifacts import log_curation
from pipelines.source_videos import STAGE as SOURCE_VIDEOS
from pipelines.stage import Job, StageInput, run_stage, stage_folder
from tests.clips.videos import listed, moving


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four videos, and where the stages write."""
    root = tmp_path_factory.mktemp("road")
    folder = root / "videos"
    folder.mkdir()
    listed(folder, "a.mp4", moving(17))
    listed(folder, "b.mp4", moving(9, "coffee"))
    listed(folder, "broken.mp4", b"no video")
    listed(folder, "still.mp4", np.repeat(moving(1, "brick"), 9, axis=0))
    return root


@pytest.fixture(scope="module")
def preset(root: Path) -> Preset:
    return small_preset(root, root / "videos")


@pytest.fixture(scope="module")
def finished(preset: Preset) -> Receipt:
    return run(preset)


def small_preset(root: Path, videos: Path, **overrides: Any) -> Preset:
    settings = {
        "storage.root": str(root / "out"),
        "storage.min_free_gb": 0.0,
        "source": {"kind": "local", "paths": [str(videos)]},
        "clips.num_frames": 8,
        "clips.height": 32,
        "clips.width": 32,
        "clips.workers": 1,
        "evaluation.grid_frames": 4,
    }
    return load_preset("tiny", {**settings, **overrides})


def run(preset: Preset) -> Receipt:
    run_stage(SOURCE_VIDEOS, preset, Silent())
    return run_stage(CLIPS, preset, Silent())


def test_the_counts_add_up(finished: Receipt) -> None:
    figures = finished.figures
    rejected = sum(int(n) for name, n in figures.items() if name.startswith("rejected: "))
    assert (figures["videos"], figures["candidates"], figures["clips kept"]) == (4, 5, 3)
    assert int(figures["clips kept"]) + rejected == figures["candidates"]
    assert figures["rejected: unreadable"] == figures["rejected: still"] == 1
    assert 1 <= int(figures["clips held out"]) < 3


def test_the_preview_is_a_picture(preset: Preset, finished: Receipt) -> None:
    preview = stage_folder(preset, "clips") / finished.folder / finished.files["preview"]
    assert preview.read_bytes().startswith(b"\x89PNG")


def test_files_that_join_are_cut_and_the_others_are_not_again(
    root: Path, preset: Preset, finished: Receipt
) -> None:
    folder = stage_folder(preset, "clips") / finished.folder
    scores = folder.parent / "scores"
    remembered = {path.name: path.stat().st_mtime_ns for path in scores.iterdir()}
    listed(root / "videos", "c.mp4", moving(9, "chelsea"))
    after = run(preset)
    assert after.folder == finished.folder
    assert after.figures["clips kept"] == int(finished.figures["clips kept"]) + 1
    assert (folder / finished.files["manifest"]).exists()
    now = {path.name: path.stat().st_mtime_ns for path in scores.iterdir()}
    assert remembered.items() <= now.items()


def test_workers_and_time_limits_change_no_output(root: Path, preset: Preset) -> None:
    changes = {"clips.workers": 7, "clips.decode_timeout_s": 7.0}
    other = small_preset(root, root / "videos", **changes)
    assert CLIPS.sections(other) == CLIPS.sections(preset)


def test_entries_that_are_no_videos_are_counted_and_listed(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    listed(folder, "a.mp4", moving(9))
    (folder / "notes").write_text("a line of text\n" * 50)
    (folder / "gone.mp4").symlink_to(folder / "nowhere")
    preset = small_preset(tmp_path, folder)
    receipt = run_stage(SOURCE_VIDEOS, preset, Silent())
    assert receipt.figures["files"] == 1
    assert receipt.figures["left out: no video"] == receipt.figures["left out: broken link"] == 1
    path = stage_folder(preset, "source_videos") / receipt.folder / receipt.files["left_out"]
    assert sorted(json.loads(path.read_bytes())) == [f"{folder}/gone.mp4", f"{folder}/notes"]


def test_more_frames_than_any_video_has_is_refused(root: Path) -> None:
    greedy = small_preset(root, root / "videos", **{"clips.num_frames": 128})
    with pytest.raises(InputError, match=r"longest scene has 17 frames, clips\.num_frames asks"):
        run(greedy)


def test_a_folder_of_broken_files_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        listed(folder, name, b"no video")
    with pytest.raises(InputError, match=r"None of the files can be decoded: .*a\.mp4"):
        run(small_preset(tmp_path, folder))


@pytest.mark.parametrize(("name", "complaint"), [("missing", "there is no"), (".", "holds no")])
def test_a_missing_or_empty_folder_is_refused(tmp_path: Path, name: str, complaint: str) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match=complaint):
        run(small_preset(tmp_path, empty / name))


def test_a_report_for_another_threshold_decodes_nothing_anew(
    tmp_path: Path, root: Path, finished: Receipt, capsys: pytest.CaptureFixture[str]
) -> None:
    rendered = tmp_path / "stricter.yaml"
    stricter = small_preset(root, root / "videos", **{"clips.filters": {"motion": 0.9}})
    rendered.write_text(json.dumps(stricter.model_dump(mode="json")))
    scores = root / "out" / stricter.name / "clips" / "scores"
    before = sorted(path.name for path in scores.iterdir())
    out = tmp_path / "report.html"
    assert report(["report", "--preset", str(rendered), "--out", str(out)]) == 0
    assert "0 of " in capsys.readouterr().out
    assert b'"title": "still: ' in out.read_bytes()
    assert sorted(path.name for path in scores.iterdir()) == before


def test_mlflow_shows_the_page_with_the_training_on_the_clips(
    tmp_path: Path, preset: Preset, finished: Receipt
) -> None:
    run = TrackedRun.open_or_resume(preset, "key", "training")

    def shown(clips_digest: str) -> dict[str, Any]:
        latents = finished.model_copy(update={"inputs": {"clips": clips_digest}})
        inputs = {"latent_shards": StageInput(UPath(tmp_path), latents)}
        unused = {"output": UPath(tmp_path), "key": "", "work": "", "scratch": tmp_path}
        with metered() as meter:
            job = Job(preset=preset, inputs=inputs, progress=Silent(), meter=meter, **unused)
            return log_curation(job, run)

    assert shown("of other clips") == {}
    now = read_receipt(stage_folder(preset, "clips"))
    assert now is not None
    assert shown(now.digest) == {
        "curation report": artifact_page(run.url(preset.tracking.ui_url), "curation/report.html")
    }
    client = MlflowClient(tracking_uri(preset))
    logged = {file.path: file.file_size for file in client.list_artifacts(run.run_id, "curation")}
    assert set(logged) == {
        f"curation/{name}"
        for name in ("report.html", "funnel.png", "histograms.png", "preview.png")
    }
