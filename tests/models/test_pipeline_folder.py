import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import StableVideoDiffusionPipeline
from huggingface_hub import HfApi, ModelCard, constants
from PIL import Image

from exvideo.config import PretrainedBase
from exvideo.models import (
    BaseModelError,
    ExtensionMetadata,
    extend,
    load_extension,
    load_pipeline,
    load_unet,
    push_pipeline,
    save_extension,
    save_pipeline,
)
from exvideo.models.svd import ExtendedUNet
from tests.models.hub import serve
from tests.models.tiny import TINY_SVD, randomise

FRAMES = 12


@pytest.fixture
def pipeline():
    """Extended after the pipeline was made, and trained."""
    pipeline = load_pipeline(TINY_SVD)
    randomise(extend(pipeline.unet, FRAMES), scale=0.03)
    return pipeline


def generate(pipeline) -> torch.Tensor:
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(
        Image.new("RGB", (64, 64), "teal"),
        height=64,
        width=64,
        num_inference_steps=2,
        generator=torch.manual_seed(0),
        output_type="pt",
    ).frames


def test_a_saved_pipeline_generates_the_same_clip(pipeline, tmp_path):
    save_pipeline(pipeline, tmp_path)
    loaded = StableVideoDiffusionPipeline.from_pretrained(tmp_path)
    assert isinstance(loaded.unet, ExtendedUNet)
    clip = generate(loaded)
    assert clip.shape[1] == FRAMES
    torch.testing.assert_close(clip, generate(pipeline), rtol=0, atol=1e-4)


def test_it_loads_in_half_precision_and_as_a_variant(pipeline, tmp_path):
    save_pipeline(pipeline, tmp_path, variant="fp16")
    loaded = StableVideoDiffusionPipeline.from_pretrained(
        tmp_path, variant="fp16", dtype=torch.bfloat16
    )
    table = loaded.unet.mid_block.attentions[0].positional_embedding.embeddings
    expected = pipeline.unet.mid_block.attentions[0].positional_embedding.embeddings
    assert torch.equal(table, expected.bfloat16())


def test_plain_diffusers_loads_it_once_our_package_is_imported(pipeline, tmp_path):
    save_pipeline(pipeline, tmp_path)
    program = (
        "import sys\n"
        "from diffusers import StableVideoDiffusionPipeline as P\n"
        "try: P.from_pretrained(sys.argv[1])\n"
        "except ValueError as error: print(error)\n"
        "import exvideo.models\n"
        "print(type(P.from_pretrained(sys.argv[1]).unet).__name__)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    refusal, loaded = done.stdout.strip().splitlines()
    assert "import exvideo.models.svd before calling" in refusal
    assert loaded == "ExtendedUNet"


def test_the_folder_tells_where_its_tensors_come_from(tmp_path):
    base = load_unet(TINY_SVD)
    metadata = ExtensionMetadata(
        base_id=base.config["base_id"],
        num_frames=FRAMES,
        native_frames=8,
        scaling_factor=0.18215,
        sigma={"mean": 1.0, "std": 1.6},
        step=100,
        data_digest="abcd",
    )
    save_extension(extend(base, FRAMES), tmp_path / "model.safetensors", metadata)
    pipeline = load_pipeline(TINY_SVD)
    load_extension(pipeline.unet, tmp_path / "model.safetensors")
    save_pipeline(pipeline, tmp_path / "folder")
    loaded = StableVideoDiffusionPipeline.from_pretrained(tmp_path / "folder")
    assert loaded.unet.config["base_id"] == metadata.base_id
    assert loaded.unet.config["post_tuning"] == metadata.model_dump()


def test_an_extended_folder_is_no_base(pipeline, tmp_path):
    save_pipeline(pipeline, tmp_path)
    with pytest.raises(BaseModelError, match="an extended pipeline, not a base"):
        load_unet(PretrainedBase(kind="pretrained", path=str(tmp_path)))


def test_a_base_pipeline_is_refused(tmp_path):
    with pytest.raises(TypeError, match="not extended"):
        save_pipeline(load_pipeline(TINY_SVD), tmp_path)


def test_it_goes_to_a_hub_and_comes_back(pipeline, tmp_path, monkeypatch):
    # The stand-in speaks Git LFS, which the hub's client uses where Xet is off.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with serve() as hub:
        api = HfApi(endpoint=hub.url, token="hf_stand_in")
        commit = push_pipeline(pipeline, "someone/tiny-128", api=api)
        assert hub.commits["someone/tiny-128"] == commit
        assert hub.private["someone/tiny-128"]
        files = hub.files["someone/tiny-128"]
        index = json.loads(files["model_index.json"])
        assert index["unet"] == ["exvideo.models.svd", "ExtendedUNet"]
        card = ModelCard(files["README.md"].decode())
        assert card.data.pipeline_tag == "image-to-video"
        assert 'from_pretrained("someone/tiny-128")' in card.content

        folder = api.snapshot_download("someone/tiny-128", cache_dir=tmp_path)
    loaded = StableVideoDiffusionPipeline.from_pretrained(folder)
    expected = pipeline.unet.state_dict()
    assert all(torch.equal(t, expected[name]) for name, t in loaded.unet.state_dict().items())
