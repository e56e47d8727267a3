import copy
import hashlib
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from exvideo.models import (
    ExtensionFileError,
    ExtensionMetadata,
    extend,
    extension_shapes,
    extension_state,
    load_extension,
    read_metadata,
    resize,
    save_extension,
)
from exvideo.models.diffsynth import temporal_block_numbers, to_diffsynth
from tests.models.tiny import clip_inputs, full_size_unet, randomise, run, tiny_unet

FRAMES = 20
METADATA = ExtensionMetadata(
    base_id="somebody/base@1234",
    num_frames=FRAMES,
    native_frames=8,
    scaling_factor=0.18215,
    sigma={"mean": 1.0, "std": 1.6},
    step=64_000,
    data_digest="sha256:abcd",
)


@pytest.fixture
def trained():
    unet = extend(tiny_unet(), FRAMES)
    randomise(unet.get_submodule("mid_block.attentions.0"))
    for name, tensor in extension_state(unet).items():
        tensor.add_(0.01 * torch.randn(tensor.shape, generator=torch.manual_seed(len(name))))
    return unet


@pytest.fixture
def path(tmp_path, trained):
    path = tmp_path / "model.safetensors"
    save_extension(trained, path, METADATA)
    return path


def rewrite(path, change=lambda tensors: None, header=lambda content: None):
    """Change a file's tensors, and its header, which a `header` that returns False drops."""
    with safe_open(path, framework="pt") as file:
        content = json.loads(file.metadata()["exvideo"])
    tensors = load_file(path)
    change(tensors)
    keep = header(content) is not False
    save_file(tensors, path, metadata={"exvideo": json.dumps(content)} if keep else None)


@pytest.mark.parametrize("layout", ["exvideo", "diffsynth"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_round_trip_is_bit_equal_in_both_layouts(trained, tmp_path, layout, dtype):
    torch.nn.Module.to(trained, dtype)
    path = tmp_path / "folder" / "model.safetensors"
    save_extension(trained, path, METADATA, layout=layout)
    target = torch.nn.Module.to(tiny_unet(), dtype)
    assert load_extension(target, path) == METADATA == read_metadata(path)
    expected = extension_state(trained)
    found = extension_state(target)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_loaded_model_generates_what_the_trained_one_does(path):
    """The base's tensors come from the base, the others from the file."""
    source, target = extend(tiny_unet(), FRAMES), tiny_unet()
    load_extension(source, path)
    load_extension(target, path)
    with torch.no_grad():
        inputs = clip_inputs(1, FRAMES)
        assert torch.equal(run(target, *inputs), run(source, *inputs))


def test_the_file_holds_the_trained_tensors_only(path, trained):
    with safe_open(path, framework="pt") as file:
        assert set(file.keys()) == set(extension_state(trained))


def test_the_layouts_convert_into_each_other(trained, path, tmp_path):
    published, back = tmp_path / "published.safetensors", tmp_path / "back.safetensors"
    save_extension(trained, published, METADATA, layout="diffsynth")
    save_extension(trained, back, load_extension(unet := tiny_unet(), published))
    assert back.read_bytes() == path.read_bytes()
    assert unet.config.num_frames == FRAMES


def test_averaged_tensors_can_be_saved_in_place_of_the_models_own(trained, tmp_path):
    average = {name: 0 * tensor for name, tensor in extension_state(trained).items()}
    save_extension(trained, tmp_path / "ema.safetensors", METADATA, state=average)
    load_extension(trained, tmp_path / "ema.safetensors")
    assert all((tensor == 0).all() for tensor in extension_state(trained).values())


def test_the_published_files_keys_and_shapes_at_full_size():
    """DiffSynth recognises the published file by this hash of its sorted keys and shapes."""
    unet = full_size_unet()
    numbers = temporal_block_numbers(unet)
    expected = [7, 17, 29, 39, 51, 61, 83, 113, 123, 133, 144, 154, 164, 175, 185, 195]
    assert list(numbers.values()) == expected
    shapes = {
        to_diffsynth(name, numbers): shape for name, shape in extension_shapes(unet, 128).items()
    }
    assert len(shapes) == 528
    assert shapes["blocks.185.positional_embedding.embeddings"] == (128, 320)
    keys = [f"{name}:{'_'.join(map(str, shape))}" for name, shape in shapes.items()]
    digest = hashlib.md5(",".join(sorted([*keys, *shapes])).encode(), usedforsecurity=False)
    assert digest.hexdigest() == "9a4ab6869ac9b7d6e31f9854e397c867"


def test_shapes_foretold_for_a_base_are_the_extended_models(trained):
    foretold = extension_shapes(tiny_unet(), FRAMES)
    assert foretold == {name: tuple(t.shape) for name, t in extension_state(trained).items()}


def test_a_published_file_says_nothing_of_itself_but_its_length(trained, tmp_path):
    path = tmp_path / "model.fp16.safetensors"
    save_extension(trained, path, METADATA, layout="diffsynth")
    rewrite(path, header=lambda content: False)
    metadata = load_extension(tiny_unet(), path)
    assert metadata.num_frames == FRAMES
    assert metadata.base_id is None
    assert metadata.scaling_factor == 0.13025


def test_missing_unexpected_and_misshapen_tensors_are_all_named(path):
    attention = "mid_block.attentions.0"

    def damage(tensors):
        del tensors[f"{attention}.positional_conv.bias"]
        tensors["stranger"] = torch.zeros(1)
        tensors[f"{attention}.time_pos_embed.linear_1.bias"] = torch.zeros(3)

    rewrite(path, damage)
    with pytest.raises(ExtensionFileError) as refusal:
        load_extension(tiny_unet(), path)
    assert "3 faults" in str(refusal.value)
    assert f"missing: {attention}.positional_conv.bias" in str(refusal.value)
    assert "unexpected: stranger" in str(refusal.value)
    assert f"shape of {attention}.time_pos_embed.linear_1.bias: [3] instead of [256]" in str(
        refusal.value
    )


def test_a_refused_file_changes_nothing(path):
    rewrite(path, lambda tensors: tensors.pop("mid_block.attentions.0.positional_conv.bias"))
    unet = tiny_unet()
    before = copy.deepcopy(unet.state_dict())
    with pytest.raises(ExtensionFileError):
        load_extension(unet, path)
    assert type(unet) is type(tiny_unet())
    assert all(torch.equal(tensor, before[name]) for name, tensor in unet.state_dict().items())


def test_another_base_is_refused_by_name(path):
    unet = tiny_unet()
    unet.register_to_config(base_id="somebody/else@5678")
    with pytest.raises(ExtensionFileError, match=r"somebody/base@1234.*somebody/else@5678"):
        load_extension(unet, path)
    load_extension(unet, path, base_id="somebody/base@1234")


def test_another_length_is_refused_by_its_numbers_and_can_be_resized(path):
    unet = extend(tiny_unet(), 12)
    with pytest.raises(ExtensionFileError, match=r"extension to 20 frames, .*extended to 12"):
        load_extension(unet, path)
    load_extension(resize(unet, 20), path)


def test_a_resized_extension_goes_on_at_its_new_length(path, tmp_path):
    unet = tiny_unet()
    metadata = load_extension(unet, path)
    rows = extension_state(unet)["mid_block.attentions.0.positional_embedding.embeddings"].clone()
    resize(unet, 30)
    longer = tmp_path / "longer.safetensors"
    save_extension(unet, longer, metadata.model_copy(update={"num_frames": 30}))
    reloaded = tiny_unet()
    load_extension(reloaded, longer)
    table = reloaded.mid_block.attentions[0].positional_embedding.embeddings
    assert table.shape == (30, 64)
    assert table.requires_grad
    assert torch.equal(table[:20], rows)
    assert run(reloaded, *clip_inputs(1, 30)).isfinite().all()


def test_metadata_that_contradict_the_tensors_are_refused(trained, path):
    with pytest.raises(ExtensionFileError, match=r"shape of .*embeddings: \[20, 32\]"):
        save_extension(trained, path, METADATA.model_copy(update={"num_frames": 21}))
    rewrite(path, header=lambda content: content["metadata"].update(num_frames=21))
    with pytest.raises(ExtensionFileError, match=r"says that it has 21 frames, .* have 20"):
        load_extension(tiny_unet(), path)


def test_a_damaged_header_is_refused(path):
    rewrite(path, header=lambda content: content["metadata"].pop("step"))
    with pytest.raises(ExtensionFileError, match=r"header that can't be read: .*"):
        load_extension(tiny_unet(), path)


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("structure", {"conv": "bogus"}),
        ("structure", {"table_init": None}),
        ("structure", {"native_frames": "eight"}),
        ("structure", {"native_frames": 0}),
        ("structure", {"lora_rank": -1}),
        ("metadata", {"num_frames": 0}),
        ("metadata", {"scaling_factor": float("nan")}),
        ("metadata", {"sigma": 1.0}),
    ],
)
def test_a_header_of_impossible_values_is_refused_by_key(path, part, change):
    rewrite(path, header=lambda content: content[part].update(change))
    [key] = change
    with pytest.raises(ExtensionFileError, match=rf"(?s)header that can't be read: .*{key}"):
        load_extension(tiny_unet(), path)


@pytest.mark.parametrize("structure", [None, "dense", [1, 2], {}])
def test_a_header_without_a_structure_is_refused(path, structure):
    rewrite(path, header=lambda content: content.update(structure=structure))
    with pytest.raises(ExtensionFileError, match="header that can't be read"):
        load_extension(tiny_unet(), path)


@pytest.mark.parametrize("header", ["[" * 100_000, "[]", "1", "not JSON"])
def test_a_header_that_is_no_document_is_refused(path, header):
    save_file(load_file(path), path, metadata={"exvideo": header})
    with pytest.raises(ExtensionFileError, match="header that can't be read"):
        load_extension(tiny_unet(), path)


@pytest.mark.parametrize("shape", [(), (0, 32)])
@pytest.mark.parametrize("with_header", [True, False])
def test_a_table_without_rows_is_refused(path, shape, with_header):
    def empty(tensors):
        for name in tensors:
            if name.endswith("positional_embedding.embeddings"):
                tensors[name] = torch.zeros(shape)

    rewrite(path, empty, lambda content: with_header)
    with pytest.raises(ExtensionFileError, match="a table of no rows"):
        load_extension(tiny_unet(), path)


def test_what_is_no_extension_is_refused(tmp_path):
    other = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, other)
    with pytest.raises(ExtensionFileError, match="no table of positions"):
        load_extension(tiny_unet(), other)
    other.write_bytes(b"not a tensor")
    with pytest.raises(ExtensionFileError, match="can't be read as a safetensors file"):
        load_extension(tiny_unet(), other)
    with pytest.raises(ExtensionFileError, match="absent"):
        load_extension(tiny_unet(), tmp_path / "absent.safetensors")


def test_an_interrupted_save_leaves_the_old_file(trained, path, monkeypatch):
    old = path.read_bytes()

    def full_disk(tensors, name, metadata):
        name.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("exvideo.models.extension_file.save_file", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_extension(trained, path, METADATA)
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]
