"""`exvideo generate`, from the command line's words to the MP4."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from exvideo.config import load_preset
from exvideo.models import extend, load_unet, save_extension
from exvideo.models.extension_file import ExtensionMetadata
from exvideo.receipt import Receipt, stage_folder, write_receipt
from pipelines.cli import main
from tests.models.tiny import TINY_SVD

BASE = ["--set", f"model.base={json.dumps(TINY_SVD.model_dump())}"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXVIDEO_HOME", str(tmp_path))
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path


@pytest.fixture
def model(home: Path) -> Path:
    """The preset's post-tuned model."""
    stage = stage_folder(load_preset("tiny"), "post_tuned_model")
    folder = stage / "abc"
    folder.mkdir(parents=True)
    unet = extend(load_unet(TINY_SVD), 10)
    metadata = ExtensionMetadata(
        base_id=unet.config.base_id, num_frames=10, native_frames=8, scaling_factor=0.18215,
        sigma={}, step=1, data_digest=None,
    )  # fmt: skip
    save_extension(unet, folder / "extension.safetensors", metadata)
    described = {"base": TINY_SVD.model_dump(), "extension": "extension.safetensors"}
    (folder / "model.json").write_text(json.dumps(described))
    files = {"extension": "extension.safetensors"}
    write_receipt(
        stage,
        Receipt(
            stage="post_tuned_model", key="k", folder="abc", digest="d", files=files,
            figures={}, seconds=1,
        ),
    )  # fmt: skip
    return Path(str(folder))


def generate(home: Path, *words: str) -> int:
    start = ["generate", "--out", str(home / "made" / "clip.mp4"), "--steps", "1"]
    return main([*start, *BASE, *words])


def played(home: Path) -> tuple[int, int, int, float]:
    """Frames, height, width and rate of the clip."""
    with av.open(str(home / "made" / "clip.mp4")) as container:
        stream = container.streams.video[0]
        count = sum(1 for _ in container.decode(stream))
        return count, stream.height, stream.width, float(stream.average_rate)


def test_the_presets_last_model_moves_a_picture(home: Path, model: Path) -> None:
    words = ["--image", str(home / "photo.png"), "--size", "48x32", "--frames", "9", "--fps", "12"]
    assert generate(home, *words) == 0
    assert played(home) == (9, 32, 48, 12.0)


def test_an_extensions_file_moves_a_picture_twice_as_large_in_a_second_pass(
    home: Path, model: Path
) -> None:
    words = ["--image", str(home / "photo.png"), "--model", str(model / "extension.safetensors")]
    words += ["--frames", "5", "--size", "32x32", "--second-pass", "64x64", "--low-memory"]
    assert generate(home, *words) == 0
    assert played(home)[:3] == (5, 64, 64)


def test_a_baseline_needs_no_trained_model(home: Path) -> None:
    words = ["--image", str(home / "photo.png"), "--baseline", "autoregressive"]
    assert generate(home, *words, "--frames", "11", "--size", "32x32") == 0
    assert played(home)[0] == 11


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--image", "nowhere.png", "--baseline", "direct"], "--image nowhere.png can't be read"),
        (["--image", "photo.png"], "there is no post-tuned model in"),
        (["--image", "photo.png", "--model", "./nowhere"], "./nowhere is neither"),
        (["--image", "photo.png", "--baseline", "direct", "--size", "30x32"], "multiples of 16"),
    ],
)
def test_what_is_wrong_is_said(
    home: Path,
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(home)
    assert generate(home, *words) == 2
    assert said in capsys.readouterr().err
    assert not (home / "made").exists()


def test_another_file_format_is_refused_before_anything_is_loaded(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "--image", "photo.png", "--out", "clip.gif"]) == 2
    assert "must end in .mp4" in capsys.readouterr().err


def test_the_command_offers_every_baseline() -> None:
    from exvideo.generation import BASELINES
    from pipelines import generate

    assert tuple(BASELINES) == generate.BASELINES
