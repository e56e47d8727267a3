"""`exvideo evaluate`: a model and baselines from the same first frames, resumed where it was."""

import json
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from exvideo.models import extend, load_unet, save_extension
from exvideo.models.extension_file import ExtensionMetadata
from pipelines.cli import main
from tests.evaluation.test_report_page import data
from tests.models.tiny import TINY_SVD, randomise

FRAMES = 5
SETTINGS = {
    "model.base": json.dumps(TINY_SVD.model_dump()),
    "clips.num_frames": FRAMES,
    "clips.height": 32,
    "clips.width": 48,
    "evaluation.grid_frames": 2,
    "evaluation.sampling_steps": 1,
    "evaluation.flow.iterations": 1,
}
GROUPS = ["model", "squeezed"]


@dataclass(frozen=True)
class Made:
    """A folder with a model, pictures, and the report of a first run."""

    root: Path
    said: str

    def numbers(self) -> dict[str, Any]:
        return json.loads((self.root / "report" / "numbers.json").read_text())

    def kept(self) -> dict[str, int]:
        """When each clip was generated."""
        return {it.name: it.stat().st_mtime_ns for it in (self.root / "report/frames").iterdir()}


def evaluate(root: Path, *words: str) -> int:
    model = ["--model", str(root / "extension.safetensors"), "--out", str(root / "report")]
    settings = [it for name, value in SETTINGS.items() for it in ("--set", f"{name}={value}")]
    return main(["evaluate", *model, *settings, "--baselines", "squeezed", *words])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("evaluate")
    unet = extend(load_unet(TINY_SVD), 10)
    randomise(unet)
    metadata = ExtensionMetadata(
        base_id=unet.config.base_id, num_frames=10, native_frames=8, scaling_factor=0.18215,
        sigma={}, step=1, data_digest=None,
    )  # fmt: skip
    save_extension(unet, root / "extension.safetensors", metadata)
    (root / "pictures").mkdir()
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        pixels = random.integers(0, 256, (60, 70, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "pictures" / f"{name}.png")
    (root / "pictures" / "half.png").write_bytes((root / "pictures/cat.png").read_bytes()[:500])
    with redirect_stdout(StringIO()) as said:
        assert evaluate(root, "--frames", str(root / "pictures")) == 0
    return Made(root, said.getvalue())


def test_every_group_has_a_clip_of_each_first_frame(made: Made) -> None:
    for group in GROUPS:
        clips = sorted((made.root / "report" / "clips" / group).iterdir())
        assert [it.name for it in clips] == ["cat-0.mp4", "dog-0.mp4"]
        with av.open(str(clips[0])) as container:
            stream = container.streams.video[0]
            assert (stream.frames, stream.height, stream.width) == (FRAMES, 32, 48)


def test_the_baselines_are_held_against_the_model_on_the_same_first_frames(made: Made) -> None:
    numbers = made.numbers()
    samples = [(it["phase"], it["clip_id"], it["seed"]) for it in numbers["samples"]]
    assert samples == [(group, clip, 0) for group in GROUPS for clip in ("cat", "dog")]
    speeds = [it["values"]["flow_speed"] for it in numbers["samples"]]
    less = np.mean(np.subtract(speeds[2:], speeds[:2]))
    assert less != 0
    assert numbers["differences"]["squeezed"]["flow_speed"]["mean"] == pytest.approx(less)
    assert "5 frames at 24 a second, 48x32" in made.said


def test_the_page_shows_the_groups_side_by_side(made: Made) -> None:
    page = data((made.root / "report" / "report.html").read_bytes())
    assert [it["name"] for it in page["columns"]] == [*GROUPS, "squeezed - model"]
    assert {tuple(it["group"] for it in row["players"]) for row in page["rows"]} == {tuple(GROUPS)}


def test_another_run_makes_only_what_is_missing_and_says_the_same(made: Made) -> None:
    before, numbers = made.kept(), made.numbers()
    lost = next(it for it in before if it.startswith("squeezed-dog"))
    (made.root / "report" / "frames" / lost).unlink()
    assert evaluate(made.root, "--frames", str(made.root / "pictures")) == 0
    after = made.kept()
    assert before.keys() == after.keys()
    assert {it for it in after if after[it] != before[it]} == {lost}
    assert made.numbers() == numbers


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--frames", "nowhere"], "there is no folder nowhere"),
        ([], "needs clips, which has not been made"),
        (["--set", "clips.num_frames=11"], "ask for fewer with --set clips.num_frames=10"),
        (["--model", "owner/name"], "owner/name is no model on this machine"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_generated(
    made: Made,
    tmp_path: Path,
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EXVIDEO_HOME", str(tmp_path))
    assert evaluate(made.root, "--out", str(tmp_path / "report"), *words) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_an_unknown_baseline_is_refused_by_its_name(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        evaluate(made.root, "--baselines", "direct,magic")
    assert "'magic' is none of direct, squeezed" in capsys.readouterr().err
