"""A preset is refused, with the key's name, before anything starts."""

from pathlib import Path

import pytest

from exvideo.config import (
    PRESETS,
    BaseModelConfig,
    Preset,
    PresetError,
    PretrainedBase,
    RandomBase,
    load_preset,
    parse_override,
    render,
    shipped_presets,
)


@pytest.mark.parametrize("name", shipped_presets())
def test_every_shipped_preset_passes_validation(name: str) -> None:
    assert load_preset(name).name == name


def test_the_full_preset_is_the_papers_recipe() -> None:
    preset = load_preset("svd_128f")
    assert (preset.clips.num_frames, preset.clips.height, preset.clips.width) == (128, 512, 512)
    assert preset.training.learning_rate == 1e-5
    assert preset.training.steps == 64_000
    assert (preset.training.ranks, preset.training.batch_size) == (8, 8)
    assert (preset.training.precision, preset.training.zero_stage) == ("bfloat16", 2)


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        ({"training.stepz": 3}, "training.stepz: there is no such key; did you mean training.step"),
        ({"training.ranks": "2"}, "training.ranks: Input should be a valid integer"),
        ({"training.warmup_steps": 5000}, "warmup_steps (5000) must be below steps"),
        (
            {"training.ranks": 3},
            "batch_size (1) must be a multiple of ranks times micro_batch_size",
        ),
        (
            {"training.ranks": 2, "training.frame_ranks": 2, "clips.num_frames": 31},
            "clips.num_frames (31) must be a multiple of training.frame_ranks (2)",
        ),
        (
            {"training.offload_optimizer": True, "training.zero_stage": 0},
            "offload_optimizer is ZeRO's: set zero_stage to 1 or more",
        ),
        (
            {"training.compile": True, "training.zero_stage": 3},
            "compile can't be had together with frame_ranks above 1 or zero_stage 3",
        ),
        ({"training.activation_gib": 20}, "set activation_checkpointing (none) to block"),
        (
            {"clips.buckets": [{"num_frames": 33, "height": 64, "width": 64}]},
            "buckets: 33x64x64 has more frames than num_frames (32)",
        ),
        (
            {"clips.buckets": [{"num_frames": 32, "height": 64, "width": 60}]},
            "clips.buckets[0].width (60) must be a multiple of 8",
        ),
        (
            {"clips.buckets": [{"num_frames": 32, "height": 64, "width": 64}]},
            "buckets: 32x64x64 is there twice",
        ),
        ({"training.frame_ranks": 2}, "ranks (1) must be a multiple of frame_ranks (2)"),
        ({"training.hostfile": "hosts"}, "set nodes, with RAY_ADDRESS"),
        ({"clips.height": 60}, "clips.height (60) must be a multiple of 8"),
        ({"source.kind": "ftp"}, "source: "),
        ({"training": 3}, "training: Input should be a section with keys of its own"),
        ({"source": None}, "source: Input should be a section with keys of its own"),
        ({"evaluation.seeds": 3}, "evaluation.seeds: Input should be a list, such as [a, b]"),
        ({"clips.fps": 1e-300}, "clips.fps: Input should be greater than or equal to 0.1"),
        ({"source.kind": "local"}, "source.seed: there is no such key in a section of this kind"),
        ({"trainning.steps": 3}, "the preset has no section 'trainning'; did you mean training."),
        ({"name": "a/b"}, "name: String should match pattern"),
        ({"name": "a" * 300}, "name: String should have at most 64 characters"),
        ({"storage.root": ""}, "storage.root: String should have at least 1 character"),
        ({"storage.min_free_gb": float("nan")}, "storage.min_free_gb: Input should be a finite"),
        ({"source.seed": -1}, "source.seed: Input should be greater than or equal to 0"),
        ({"source.width": 97}, "source: width (97) must be even"),
        ({"source.rendered_frames": 31}, "source.rendered_frames (31) is too short for a clip"),
        ({"source.height": 32}, "source.height and width (32x96) are below clips.height and width"),
        ({"clips.fps": 8.0}, "clips.num_frames and clips.fps ask for 94 frames"),
        ({"clips.fps": float("inf")}, "clips.fps: Input should be a finite number"),
        ({"clips.num_frames": 10**12}, "clips.num_frames: Input should be less than or equal to"),
        ({"clips.workers": 10**6}, "clips.workers: Input should be less than or equal to 1024"),
        ({"clips.filters": {"moton": 1.0}}, "there is no filter 'moton'; did you mean motion?"),
        ({"clips.held_out_videos": 1}, "clips.held_out_videos (1) leaves no clip to train on"),
        ({"latents.gpus_per_worker": 1.5}, "gpus_per_worker (1.5) must be 0, a share of one GPU"),
        ({"training.seed": -1}, "training.seed: Input should be greater than or equal to 0"),
        ({"training.seed": 2**64}, "training.seed: Input should be less than or equal to"),
        ({"training.ranks": 10**6}, "training.ranks: Input should be less than or equal to 1024"),
        ({"training.learning_rate": 60}, "training.learning_rate: Input should be less than or"),
        (
            {"training.zero_stage": 0, "training.precision": "float32"},
            "training: zero_stage 0 with precision float32, which auto may come to",
        ),
        (
            {"training.attention": "flash_attn", "training.precision": "float32"},
            "training: attention flash_attn computes in half precision only",
        ),
        ({"evaluation.seeds": [0, -1]}, "evaluation.seeds.1: Input should be greater than or"),
        ({"evaluation.seeds": [3, 3]}, "seeds [3, 3] name one twice"),
        ({"evaluation.max_guidance_scale": 0.5}, "max_guidance_scale (0.5) is below min_guidance"),
        ({"evaluation.motion_bucket_id": 256}, "evaluation.motion_bucket_id: Input should be less"),
        ({"evaluation.grid_clips": 5}, "grid_clips (5) exceeds clips (2)"),
        ({"evaluation.grid_frames": 25}, "evaluation.grid_frames: Input should be less than or"),
        ({"tracking.tracking_uri": "mlflow:5000"}, "tracking.tracking_uri: 'mlflow:5000' is no"),
        ({"tracking.ui_url": "mlflow:5000"}, "tracking.ui_url: String should match pattern"),
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


def test_settings_that_do_not_fit_together_are_all_named() -> None:
    with pytest.raises(PresetError) as refusal:
        load_preset("svd_128f", {"clips.height": 520, "clips.held_out_videos": 0})
    assert "clips.height (520) must be a multiple of 64" in str(refusal.value)
    assert "clips.held_out_videos (0) leaves no clip to evaluate" in str(refusal.value)


@pytest.mark.parametrize(
    ("base", "unit"),
    [
        (PretrainedBase(kind="pretrained", path="exvideo/weights/tiny_svd"), 8),
        (RandomBase(kind="random", path="tests/models/tiny_svd", seed=0), 16),
        (RandomBase(kind="random", path="exvideo/models/svd_xt", seed=0), 64),
        (
            PretrainedBase(
                kind="pretrained", path="stabilityai/stable-video-diffusion-img2vid-xt-1-1"
            ),
            64,
        ),
    ],
)
def test_clips_are_multiples_of_what_the_base_model_divides_by(
    base: BaseModelConfig, unit: int
) -> None:
    def sized(side: int) -> Preset:
        sizes = {"clips.height": side, "clips.width": side, "source.rendered_clips": 0}
        return load_preset("tiny", {"model.base": base.model_dump(), **sizes})

    assert sized(3 * unit).clips.height == 3 * unit
    with pytest.raises(PresetError, match=rf"must be a multiple of {unit}, .*{base.path}"):
        sized(3 * unit + unit // 2)


def test_a_single_file_divides_by_what_svd_does(tmp_path: Path) -> None:
    (tmp_path / "svd.safetensors").touch()
    base = {"kind": "pretrained", "path": str(tmp_path / "svd.safetensors")}
    with pytest.raises(PresetError, match="must be a multiple of 64"):
        load_preset("svd_128f", {"model.base": base, "clips.height": 520})


def test_a_base_that_only_the_hub_knows_is_left_to_the_stage_that_downloads_it() -> None:
    base = {"kind": "pretrained", "path": "somebody/model"}
    overrides = {"model.base": base, "clips.height": 520}
    assert load_preset("svd_128f", overrides).clips.height == 520


def test_a_folder_whose_configurations_make_no_sense_is_refused(tmp_path: Path) -> None:
    for part in ("unet", "vae"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "config.json").write_text("[]")
    base = {"kind": "pretrained", "path": str(tmp_path)}
    with pytest.raises(PresetError, match=r"model\.base\.path: .* is no base model"):
        load_preset("tiny", {"model.base": base})


def test_a_home_in_a_path_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert load_preset("tiny", {"storage.root": "~/data"}).storage.root == "/somewhere/data"


def test_an_unknown_preset_is_answered_with_the_shipped_ones() -> None:
    with pytest.raises(PresetError, match="shipped presets: svd_128f, tiny"):
        load_preset("huge")


def test_a_key_is_set_in_a_section_that_the_file_leaves_out(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    lines = (PRESETS / "tiny.yaml").read_text().splitlines(keepends=True)
    mine.write_text("".join(it for it in lines if not it.startswith(("limits:", "prices:"))))
    preset = load_preset(str(mine), {"limits.gpu_hours": 2.0})
    assert preset.limits.gpu_hours == 2
    assert preset == load_preset("tiny", {"limits.gpu_hours": 2.0})


def test_a_preset_may_be_any_yaml_file(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text((PRESETS / "tiny.yaml").read_text().replace("name: tiny", "name: mine"))
    assert load_preset(str(mine)).name == "mine"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"a: [", "is not valid YAML"),
        (b"name: \xff", "is not valid YAML"),
        (b"name: a\nname: b", "the key 'name' stands twice"),
        (b"- name", "must hold a mapping, not list"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_bytes(content)
    with pytest.raises(PresetError, match=complaint):
        load_preset(str(broken))


def test_a_file_that_does_not_exist_is_named() -> None:
    with pytest.raises(PresetError, match=r"there is no preset file nowhere\.yaml \(seen from /"):
        load_preset("nowhere.yaml")


def test_a_file_by_another_name_is_answered_with_what_it_should_be_called(tmp_path: Path) -> None:
    (tmp_path / "mine.json").touch()
    with pytest.raises(PresetError, match=r"a preset file's name ends in \.yaml"):
        load_preset(str(tmp_path / "mine.json"))


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


@pytest.mark.parametrize("text", ["training.steps", "=3", "source={kind: [}"])
def test_an_override_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(PresetError, match="override"):
        parse_override(text)


@pytest.mark.parametrize("name", shipped_presets())
def test_a_rendered_preset_loads_to_an_equal_one(name: str, tmp_path: Path) -> None:
    preset = load_preset(name, {"training.learning_rate": 1e-7, "evaluation.seeds": [1, 2]})
    (tmp_path / "rendered.yaml").write_text(render(preset))
    assert load_preset(str(tmp_path / "rendered.yaml")) == preset


def test_every_key_has_a_description() -> None:
    schema = Preset.model_json_schema()
    sections = {"Preset": schema, **schema["$defs"]}
    bare = [
        f"{name}.{key}"
        for name, section in sections.items()
        for key, described in section["properties"].items()
        # A section's own description serves the key that holds it.
        if not (described | sections.get(described.get("$ref", "").rpartition("/")[2], {})).get(
            "description"
        )
    ]
    assert bare == []
