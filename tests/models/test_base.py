import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi, constants
from PIL import Image

from exvideo.config import PretrainedBase, RandomBase
from exvideo.models import (
    ENCODERS,
    BaseModelError,
    base_id,
    extend,
    load_image_encoder,
    load_pipeline,
    load_unet,
    load_vae,
)
from tests.models.hub import serve
from tests.models.tiny import TINY_SVD


@pytest.fixture
def folder(tmp_path):
    """A tiny base with weights, in diffusers' layout."""
    load_pipeline(TINY_SVD).save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def pretrained(path: Path | str, **fields) -> PretrainedBase:
    return PretrainedBase(kind="pretrained", path=str(path), **fields)


def test_random_bases_depend_on_their_seed_alone():
    torch.manual_seed(5)
    first = load_unet(TINY_SVD).state_dict()
    torch.manual_seed(6)
    second = load_unet(TINY_SVD).state_dict()
    other = load_unet(TINY_SVD.model_copy(update={"seed": 1})).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["conv_in.weight"], other["conv_in.weight"])


def test_loading_leaves_the_callers_randomness_alone():
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    load_vae(TINY_SVD)
    assert torch.equal(torch.randn(3), expected)


def test_a_pretrained_folder_loads_what_was_saved(folder):
    base = pretrained(folder)
    for load in (load_unet, load_vae, lambda base: load_image_encoder(base)[0]):
        expected, found = load(TINY_SVD).state_dict(), load(base).state_dict()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_part_has_the_dtype_asked_for(folder, dtype):
    for base in (TINY_SVD, pretrained(folder)):
        encoder, _ = load_image_encoder(base, dtype)
        for model in (load_unet(base, dtype), load_vae(base, dtype), encoder):
            assert {parameter.dtype for parameter in model.parameters()} == {dtype}


def test_variants_are_files_of_their_own(folder):
    whole = base_id(pretrained(folder))
    load_pipeline(TINY_SVD, dtype=torch.float16).save_pretrained(folder, variant="fp16")
    half = pretrained(folder, variant="fp16")
    assert base_id(pretrained(folder)) == whole
    assert base_id(half) != whole
    unet = load_unet(half)
    expected = load_unet(TINY_SVD, torch.float16).state_dict()
    assert all(torch.equal(t.half(), expected[name]) for name, t in unet.state_dict().items())
    with pytest.raises(BaseModelError, match="bf16"):
        load_unet(pretrained(folder, variant="bf16"))


def test_the_pipeline_makes_clips_of_the_extended_length():
    pipeline = load_pipeline(TINY_SVD, unet=extend(load_unet(TINY_SVD), 12))
    pipeline.set_progress_bar_config(disable=True)
    image = Image.new("RGB", (64, 64), "teal")
    frames = pipeline(
        image,
        height=64,
        width=64,
        num_inference_steps=2,
        generator=torch.manual_seed(0),
        output_type="pt",
    ).frames
    assert frames.shape == (1, 12, 3, 64, 64)
    assert frames.isfinite().all()


def test_the_identity_is_the_contents_not_the_place(folder, tmp_path):
    twin = shutil.copytree(folder, tmp_path / "twin")
    assert base_id(pretrained(folder)) == base_id(pretrained(twin))
    assert load_unet(pretrained(twin)).config["base_id"] == base_id(pretrained(folder))


def test_other_weights_or_another_seed_are_another_identity(folder, tmp_path):
    other = tmp_path / "other"
    load_pipeline(TINY_SVD.model_copy(update={"seed": 1})).save_pretrained(other)
    identities = {
        base_id(pretrained(folder)),
        base_id(pretrained(other)),
        base_id(TINY_SVD),
        base_id(TINY_SVD.model_copy(update={"seed": 1})),
    }
    assert len(identities) == 4


def test_changed_weights_are_another_identity_at_once(folder):
    before = base_id(pretrained(folder))
    encoders = base_id(pretrained(folder), ENCODERS)
    load_unet(TINY_SVD.model_copy(update={"seed": 1})).save_pretrained(folder / "unet")
    assert base_id(pretrained(folder)) != before
    assert base_id(pretrained(folder), ENCODERS) == encoders
    load_vae(TINY_SVD.model_copy(update={"seed": 1})).save_pretrained(folder / "vae")
    assert base_id(pretrained(folder), ENCODERS) != encoders


def test_what_the_hub_does_not_have_is_named(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(BaseModelError, match="someone/absent can't be had from the hub"):
        load_unet(pretrained("someone/absent"))


def test_a_repository_on_the_hub_is_named_with_its_commit(folder, tmp_path, monkeypatch):
    """Read from the hub's cache, as after a download, without a network."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "cache" / "models--someone--tiny"
    shutil.copytree(folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    base = pretrained("someone/tiny")
    assert base_id(base) == f"someone/tiny@{commit}"
    assert load_unet(base).config["base_id"] == f"someone/tiny@{commit}"


@pytest.mark.parametrize("variant", [None, "fp16"])
def test_only_the_wanted_files_come_from_the_hub(folder, tmp_path, monkeypatch, variant):
    load_pipeline(TINY_SVD, dtype=torch.float16).save_pretrained(folder, variant="fp16")
    torch.save({}, folder / "unet" / "diffusion_pytorch_model.bin")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with serve() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        files = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
        api = HfApi(endpoint=hub.url, token="hf_stand_in")
        name = f"someone/tiny-{variant}"
        api.create_repo(name)
        commit = api.upload_folder(repo_id=name, folder_path=folder).oid
        base = pretrained(name, variant=variant)
        unet = load_unet(base)
        assert base_id(base) == f"{name}@{commit}"
    expected = load_unet(pretrained(folder, variant=variant)).state_dict()
    assert all(torch.equal(t, expected[key]) for key, t in unet.state_dict().items())
    unet_files = {path.name for path in (tmp_path / "cache").glob("models--*/snapshots/*/unet/*")}
    weights = f"diffusion_pytorch_model{f'.{variant}' if variant else ''}.safetensors"
    assert unet_files == {"config.json", weights}


def test_pickled_weights_are_refused(folder):
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save({}, weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(BaseModelError, match="unet"):
        load_unet(pretrained(folder))


def test_what_is_missing_is_named(folder, tmp_path):
    with pytest.raises(BaseModelError, match="nowhere: no such folder"):
        load_unet(RandomBase(kind="random", path=str(tmp_path / "nowhere"), seed=0))
    with pytest.raises(BaseModelError, match=r"no unet/config\.json"):
        load_unet(pretrained(tmp_path))
    shutil.rmtree(folder / "vae")
    with pytest.raises(BaseModelError, match=r"no vae/config\.json"):
        load_vae(pretrained(folder))
