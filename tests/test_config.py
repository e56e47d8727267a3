"""A preset is refused, with the key's name, before anything starts."""

from pathlib import Path

import pytest

from exvideo.config import PRESETS, PresetError, load_preset, parse_override


@pytest.mark.parametrize("name", sorted(path.stem for path in PRESETS.glob("*.yaml")))
def test_every_shipped_preset_passes_validation(name: str) -> None:
    assert load_preset(name).name == name


def test_the_full_preset_is_the_papers_recipe() -> None:
    preset = load_preset("svd_128f")
    assert (preset.clips.num_frames, preset.clips.height, preset.clips.width) == (128, 512, 512)
    assert preset.training.learning_rate == 1e-5
    assert preset.training.steps == 64_000
    assert (preset.training.ranks, preset.training.batch_size) == (8, 1)
    assert (preset.training.precision, preset.training.zero_stage) == ("bfloat16", 2)


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        ({"training.stepz": 3}, "training.stepz: Extra inputs are not permitted"),
        ({"training.ranks": "2"}, "training.ranks: Input should be a valid integer"),
        ({"training.warmup_steps": 5000}, "warmup_steps (5000) must be below steps"),
        ({"clips.height": 60}, "clips.height (60) must be a multiple of 8"),
        ({"evaluation.grid_frames": 999}, "evaluation.grid_frames (999) exceeds clips.num_frames"),
        ({"source.kind": "ftp"}, "source: "),
        ({"trainning.steps": 3}, "the preset has no section 'trainning'"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(overrides: dict, complaint: str) -> None:
    with pytest.raises(PresetError, match=r"refused|no section") as refusal:
        load_preset("tiny", overrides)
    assert complaint in str(refusal.value)


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(PresetError) as refusal:
        load_preset("tiny", {"training.ranks": 0, "clips.workers": 0})
    assert "training.ranks" in str(refusal.value)
    assert "clips.workers" in str(refusal.value)


def test_an_unknown_preset_is_answered_with_the_shipped_ones() -> None:
    with pytest.raises(PresetError, match="shipped presets: svd_128f, tiny"):
        load_preset("huge")


def test_a_preset_may_be_any_yaml_file(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text((PRESETS / "tiny.yaml").read_text().replace("name: tiny", "name: mine"))
    assert load_preset(str(mine)).name == "mine"


def test_a_broken_yaml_file_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [")
    with pytest.raises(PresetError, match="is not valid YAML"):
        load_preset(str(broken))


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("training.steps=10", ("training.steps", 10)),
        ("training.learning_rate=1e-4", ("training.learning_rate", 1e-4)),
        ("evaluation.seeds=[0, 1]", ("evaluation.seeds", [0, 1])),
    ],
)
def test_an_override_reads_as_yaml(text: str, setting: tuple) -> None:
    assert parse_override(text) == setting
