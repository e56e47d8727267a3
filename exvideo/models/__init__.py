"""Models: base models, their extension to longer clips, and its checkpoints."""

from exvideo.config.base_weights import ENCODERS, BaseModelError, base_id
from exvideo.models import animatediff, cogvideox, modelscope, svd  # noqa: F401 - they register
from exvideo.models.activation_checkpointing import checkpoint_activations
from exvideo.models.attention import configure_attention
from exvideo.models.base import (
    load_image_encoder,
    load_pipeline,
    load_unet,
    load_vae,
)
from exvideo.models.extend import extend, extension_shapes, resize, to_full_form
from exvideo.models.extension_file import (
    ExtensionFileError,
    ExtensionMetadata,
    load_extension,
    read_metadata,
    save_extension,
)
from exvideo.models.pipeline_folder import push_pipeline, save_pipeline
from exvideo.models.trainable import (
    extension_parameters,
    extension_state,
    freeze_base,
    trainable_parameters,
)

__all__ = [
    "ENCODERS",
    "BaseModelError",
    "ExtensionFileError",
    "ExtensionMetadata",
    "base_id",
    "checkpoint_activations",
    "configure_attention",
    "extend",
    "extension_parameters",
    "extension_shapes",
    "extension_state",
    "freeze_base",
    "load_extension",
    "load_image_encoder",
    "load_pipeline",
    "load_unet",
    "load_vae",
    "push_pipeline",
    "read_metadata",
    "resize",
    "save_extension",
    "save_pipeline",
    "to_full_form",
    "trainable_parameters",
]
