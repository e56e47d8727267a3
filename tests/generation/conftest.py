import pytest
from diffusers import StableVideoDiffusionPipeline

from exvideo.generation.load import extended_pipeline
from tests.models.tiny import TINY_SVD


@pytest.fixture
def pipeline() -> StableVideoDiffusionPipeline:
    """A random tiny pipeline, 8 native frames extended to 12."""
    return extended_pipeline(TINY_SVD, 12)
