"""Text to video: any diffusers text-to-image model makes the first frame."""

from pathlib import Path

import numpy as np
import pytest
from diffusers import StableVideoDiffusionPipeline

from exvideo.errors import InputError
from exvideo.generation import Sampling, first_frame, image_to_video
from tests.generation.text_to_image import FAMILIES, seeded

OPTIONS = {"height": 16, "width": 16, "steps": 2}
OWN_OPTIONS = {"pixart": {"use_resolution_binning": False}}
"""PixArt would draw at one of its own sizes and resize."""


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_draws_the_first_frame_of_a_clip(
    family: str, pipeline: StableVideoDiffusionPipeline, tmp_path: Path
) -> None:
    seeded(family).save_pretrained(tmp_path)
    options = {**OPTIONS, **OWN_OPTIONS.get(family, {})}
    image, again, other = (
        np.asarray(first_frame("a cat", tmp_path, seed=seed, **options)) for seed in (0, 0, 1)
    )
    assert image.shape == (16, 16, 3)
    np.testing.assert_array_equal(image, again)
    assert (image != other).any()
    clip = image_to_video(
        pipeline, image, num_frames=4, height=16, width=16, sampling=Sampling(steps=1)
    )
    assert clip.shape == (4, 16, 16, 3)


def test_a_folder_without_a_text_to_image_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be loaded as a text-to-image model"):
        first_frame("a cat", tmp_path)
