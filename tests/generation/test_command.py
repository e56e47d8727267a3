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
        (["--image", "half.png", "--baseline", "direct"], "--image half.png can't be read"),
        (["--image", ".", "--baseline", "direct"], "--image . can't be read"),
        (
            ["--image", "photo.png", "--baseline", "direct", "--guidance", "3", "1"],
            "--guidance 3 1: the last must not be below the first",
        ),
        (["--image", "photo.png", "--baseline", "direct", "--out", "."], "--out . must end"),
        (["--image", "photo.png", "--baseline", "direct", "--out", "a.mp4"], "a.mp4 is a folder"),
        (
            ["--image", "photo.png", "--baseline", "direct", "--out", "photo.png/clip.mp4"],
            "photo.png is no folder that can be written to",
        ),
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
    (home / "half.png").write_bytes((home / "photo.png").read_bytes()[:2000])
    (home / "a.mp4").mkdir()
    assert generate(home, *words) == 2
    assert said in capsys.readouterr().err
    assert not (home / "made").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--frames", "0"], "argument --frames: '0': Input should be greater than or equal to 2"),
        (["--frames", "x"], "argument --frames: 'x': Input should be a valid integer"),
        (["--steps", "0"], "argument --steps: '0': Input should be greater than or equal to 1"),
        (["--fps", "-3"], "argument --fps: '-3': Input should be greater than or equal to 1"),
        (["--motion", "256"], "argument --motion: '256': Input should be less than or equal to"),
        (["--seed", "-1"], "argument --seed: '-1': Input should be greater than or equal to 0"),
        (["--guidance", "1", "nan"], "argument --guidance: 'nan': Input should be a finite number"),
        (["--guidance", "1", "-2"], "argument --guidance: '-2': Input should be greater than or"),
        (["--size", "0x64"], "argument --size: 0x64: a side has 8 to 8192 pixels"),
        (["--size", "64"], "argument --size: a size reads WIDTHxHEIGHT, not '64'"),
        (["--second-pass", "99999x64"], "argument --second-pass: 99999x64: a side has 8 to 8192"),
        (["--model", ""], "argument --model: there is nothing in it"),
        (["--prompt", ""], "argument --prompt: there is nothing in it"),
        (["--model", "a", "--baseline", "direct"], "--baseline: not allowed with argument --model"),
    ],
)
def test_an_argument_that_no_model_takes_is_refused_by_its_name(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    start = [] if "--prompt" in words else ["--image", "photo.png"]
    with pytest.raises(SystemExit, match="2"):
        main(["generate", "--out", "clip.mp4", *start, *words])
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--second-pass", "60x64"], "multiples of 16"),
        (["--frames", "11"], "is extended to 10 frames, not to 11: ask for fewer with --frames 10"),
        ([], "is extended to 10 frames, not to 32"),
    ],
)
def test_what_a_model_can_not_take_is_refused_before_its_weights_are_loaded(
    home: Path,
    model: Path,
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image = ["--image", str(home / "photo.png")]
    assert main(["generate", *image, "--out", str(home / "clip.mp4"), *words]) == 2
    message = capsys.readouterr().err
    assert said in message
    assert "steps" not in message


def test_a_damaged_description_of_a_model_is_refused(
    home: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (model / "model.json").write_text('{"base": {}}')
    assert generate(home, "--image", str(home / "photo.png")) == 2
    assert "model.json describes no post-tuned model" in capsys.readouterr().err


def test_another_file_format_is_refused_before_anything_is_loaded(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "--image", "photo.png", "--out", "clip.gif"]) == 2
    assert "must end in .mp4" in capsys.readouterr().err


def test_the_command_offers_every_baseline() -> None:
    from exvideo.generation import BASELINES
    from pipelines import generate_arguments

    assert tuple(BASELINES) == generate_arguments.BASELINES
