"""The `exvideo` command: what it offers, what it answers to slips, and that it starts fast."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import psutil
import pytest
import yaml

from exvideo.config import PRESETS, PROJECT, load_preset
from pipelines.cli import COMMANDS, main
from tests.process.census import lives

HEAVY = ("torch", "ray", "diffusers", "deepspeed", "mlflow", "dagster", "transformers")


def test_help_names_every_command_and_where_things_are_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    listed = re.findall(r"^  (\S+)", said, re.MULTILINE)
    assert tuple(listed) == COMMANDS
    assert "EXVIDEO_HOME" in said
    assert "outputs" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dmeo"], "there is no command 'dmeo'; did you mean `demo`?"),
        (["clip"], "there is no command 'clip'; did you mean `run clips`?"),
        (["run", "latents_shards"], "did you mean `latent_shards`?"),
        (["xyzzy"], "there is no command 'xyzzy'\n"),
        (["run"], "no stage is none of source_videos"),
    ],
)
def test_a_mistyped_word_is_answered_with_the_near_one(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_render_prints_a_preset_that_loads_to_the_one_that_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--preset", "tiny", "--set", "training.steps=200", "--set", "evaluation.seeds=[1, 2]"]
    assert main(["config", "render", *words]) == 0
    rendered = tmp_path / "rendered.yaml"
    rendered.write_text(capsys.readouterr().out)
    overrides = {"training.steps": 200, "evaluation.seeds": [1, 2]}
    assert load_preset(str(rendered)) == load_preset("tiny", overrides)


def test_validate_says_that_a_good_preset_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "validate", str(PRESETS / "tiny.yaml")]) == 0
    assert "the preset tiny is valid" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("height: 64", "height: 60", "clips.height (60) must be a multiple of 8"),
        ("exvideo/weights/tiny_svd", "/nowhere", "there is no base model at /nowhere"),
    ],
)
def test_validate_refuses_a_bad_preset_by_its_keys(
    tmp_path: Path, old: str, new: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text((PRESETS / "tiny.yaml").read_text().replace(old, new))
    assert main(["config", "validate", str(mine)]) == 2
    assert said in capsys.readouterr().err


def test_the_schema_takes_every_shipped_preset_and_no_unknown_key(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["config", "schema"]) == 0
    validator = jsonschema.Draft202012Validator(json.loads(capsys.readouterr().out))
    for preset in PRESETS.glob("*.yaml"):
        document = yaml.safe_load(preset.read_text())
        validator.validate(document)
        document["training"]["stepz"] = 3
        assert not validator.is_valid(document)


def test_the_demo_refuses_what_this_machine_lacks_before_dagster_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXVIDEO_HOME", str(tmp_path))
    assert main(["demo", "--set", "model.base.path=/nowhere"]) == 2
    assert "model.base.path: there is no base model at /nowhere" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["presets"],
        ["config", "render"],
        ["config", "validate", "tiny"],
        ["config", "schema"],
        ["generate", "--help"],
        ["demo", "--set", "training.steps=0"],
        ["generate", "--image", "nowhere.png", "--baseline", "direct", "--out", "clip.mp4"],
    ],
)
def test_what_needs_no_model_loads_no_library_of_models(words: list[str]) -> None:
    program = f"""
import sys
from pipelines.cli import main
try:
    main({words!r})
except SystemExit:
    pass
sys.exit(", ".join(name for name in {HEAVY!r} if name in sys.modules) or 0)
"""
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr


def test_ctrl_c_of_a_stage_ends_all_that_it_has_started(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipelines.cli", "run", "source_videos", "--preset", "tiny"]
    command += ["--set", f"storage.root={tmp_path}", "--set", "source.rendered_clips=100000"]
    program = subprocess.Popen(
        command, cwd=PROJECT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert program.stderr is not None
    while "videos" not in program.stderr.readline().partition(": ")[2]:
        assert program.poll() is None
    started = psutil.Process(program.pid).children(recursive=True)
    assert len(started) >= 2, "the supervisor and the stage"
    os.killpg(program.pid, signal.SIGINT)  # as a terminal sends it: to the whole foreground group
    told = program.communicate()[1]
    assert program.returncode == 128 + signal.SIGINT
    assert "Traceback" not in told
    assert [it for it in started if lives(it.pid)] == []
    assert list(tmp_path.rglob("receipt.json")) == []
