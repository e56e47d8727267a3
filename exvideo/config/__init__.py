"""A preset: everything that one road from videos to a post-tuned model needs to know.

Presets are YAML files. Unknown keys, wrong types and impossible combinations are refused with
the key's name before anything starts.
"""

from exvideo.config.places import PRESETS, PROJECT, shipped
from exvideo.config.preset import Preset, data_root
from exvideo.config.preset_file import (
    PresetError,
    load_preset,
    parse_override,
    render,
    shipped_presets,
)
from exvideo.config.sections import (
    BaseModelConfig,
    ClipsConfig,
    EmbeddedSource,
    EvaluationConfig,
    FlowConfig,
    LatentsConfig,
    LocalSource,
    ModelConfig,
    OpenSoraPlanSource,
    Precision,
    PretrainedBase,
    RandomBase,
    StorageConfig,
    TrackingConfig,
)
from exvideo.config.training import SigmaConfig, TrainingConfig

__all__ = [
    "PRESETS",
    "PROJECT",
    "BaseModelConfig",
    "ClipsConfig",
    "EmbeddedSource",
    "EvaluationConfig",
    "FlowConfig",
    "LatentsConfig",
    "LocalSource",
    "ModelConfig",
    "OpenSoraPlanSource",
    "Precision",
    "Preset",
    "PresetError",
    "PretrainedBase",
    "RandomBase",
    "SigmaConfig",
    "StorageConfig",
    "TrackingConfig",
    "TrainingConfig",
    "data_root",
    "load_preset",
    "parse_override",
    "render",
    "shipped",
    "shipped_presets",
]
