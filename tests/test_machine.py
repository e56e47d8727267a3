"""What a machine lacks for a preset is said, key by key, before anything starts."""

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from exvideo.config import PROJECT, PresetError, load_preset
from exvideo.config.machine import check_machine

TINY_SVD = PROJECT / "exvideo/weights/tiny_svd"


def complaint(**overrides: Any) -> str:
    settings = {key.replace("__", "."): value for key, value in overrides.items()}
    with pytest.raises(PresetError, match="can't run on this machine") as refusal:
        check_machine(load_preset("tiny", settings))
    return str(refusal.value)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A copy of the embedded base, to spoil."""
    return Path(shutil.copytree(TINY_SVD, tmp_path / "base"))


@pytest.mark.parametrize("name", ["tiny", "svd_128f"])
def test_the_shipped_presets_lack_nothing(name: str, tmp_path: Path) -> None:
    check_machine(load_preset(name, {"storage.root": str(tmp_path)}))


def test_everything_that_lacks_is_named_at_once() -> None:
    said = complaint(
        source={"kind": "local", "paths": ["/nowhere/videos"]},
        model__base__path="/nowhere/model",
        evaluation__flow__weights="/nowhere/raft.safetensors",
    )
    assert "source.paths: there is no /nowhere/videos" in said
    assert "model.base.path: there is no base model at /nowhere/model" in said
    assert "evaluation.flow.weights: there is no file /nowhere/raft.safetensors" in said


@pytest.mark.parametrize("path", ["./model", "~/model", "models/svd.safetensors", "a/b/c"])
def test_what_can_not_be_a_repository_must_exist(path: str) -> None:
    said = complaint(model__base__path=path)
    assert f"model.base.path: there is no base model at {path} (seen from /" in said


def test_a_base_without_a_part_is_refused_before_the_stage_that_needs_it(base: Path) -> None:
    shutil.rmtree(base / "scheduler")
    assert "has no scheduler/scheduler_config.json" in complaint(model__base__path=str(base))


def test_a_base_without_its_variants_weights_is_refused(base: Path) -> None:
    said = complaint(model__base__path=str(base), model__base__variant="fp16")
    assert "has no unet/*.fp16*.safetensors, vae/*.fp16*.safetensors" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"extension": {}}, "it is extended already"),
        ({"_class_name": "UNet2DConditionModel"}, "its U-Net is a UNet2DConditionModel"),
    ],
)
def test_another_kind_of_base_is_refused(base: Path, change: dict[str, Any], said: str) -> None:
    config = base / "unet/config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | change))
    assert said in complaint(model__base__path=str(base))


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = complaint(storage__root=str(tmp_path / "file" / "data"))
    assert f"storage.root: {tmp_path / 'file'} is no folder" in said


def test_the_environments_root_is_refused_by_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EXVIDEO_HOME", str(tmp_path / "file"))
    assert "EXVIDEO_HOME: " in complaint()


def test_an_unknown_kind_of_storage_is_refused() -> None:
    assert "storage.root: s4://bucket is no storage" in complaint(storage__root="s4://bucket")


def test_an_object_store_needs_local_scratch_and_an_mlflow_server() -> None:
    said = complaint(storage__root="memory://data")
    assert "storage.scratch: storage.root is memory://data" in said
    assert "tracking.tracking_uri: storage.root is memory://data" in said


@pytest.mark.skipif(
    importlib.util.find_spec("flash_attn") is not None, reason="flash-attn is installed"
)
def test_flash_attn_that_is_not_installed_is_refused_with_the_command_that_installs_it() -> None:
    said = complaint(training__attention="flash_attn")
    assert "training.attention: flash_attn needs the flash-attn package" in said
    assert "--no-build-isolation" in said
