"""What frames pass through before they are encoded, as an identity."""

import json

from exvideo.config import BaseModelConfig
from exvideo.config.base_weights import folder
from exvideo.receipt import digest_of

PREPROCESSING = 1
"""Raised by hand where frames become the encoders' input in another way."""

CONFIGURATIONS = (
    "vae/config.json",
    "image_encoder/config.json",
    "feature_extractor/preprocessor_config.json",
)


def preprocessing_id(base: BaseModelConfig) -> str:
    """What stands between a clip's frames and its row besides the encoders' weights."""
    where = folder(base)
    configurations = [json.loads((where / it).read_text()) for it in CONFIGURATIONS]
    # Which version of a library wrote them, and where, is of no consequence.
    plain = [{k: v for k, v in it.items() if not k.startswith("_")} for it in configurations]
    return digest_of([PREPROCESSING, plain])[:16]
