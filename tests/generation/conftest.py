import pytest
from diffusers import StableVideoDiffusionPipeline

from exvideo.config import ModelConfig
from exvideo.generation.load import extended_pipeline
from tests.models.tiny import TINY_SVD


@pytest.fixture
def pipeline() -> StableVideoDiffusionPipeline:
    """A random tiny pipeline, 8 native frames extended to 12."""
    return extended_pipeline(ModelConfig(base=TINY_SVD), 12)
