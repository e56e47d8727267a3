"""A preset: everything that one road from videos to a post-tuned model needs to know.

Presets are YAML files. Unknown keys, wrong types and impossible combinations are refused with
the key's name before anything starts.
"""

from exvideo.config.evaluation import EvaluationConfig, FlowConfig, NetworksConfig
from exvideo.config.limits import LimitsConfig, PricesConfig
from exvideo.config.places import PRESETS, PROJECT, shipped
from exvideo.config.preset import Preset, data_root
from exvideo.config.preset_file import (
    PresetError,
    load_preset,
    parse_override,
    render,
    shipped_presets,
)
from exvideo.config.retraining import GateConfig, RetrainingConfig
from exvideo.config.sections import (
    AestheticConfig,
    BaseModelConfig,
    ClipsConfig,
    ClipShape,
    EmbeddedSource,
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
    "AestheticConfig",
    "BaseModelConfig",
    "ClipShape",
    "ClipsConfig",
    "EmbeddedSource",
    "EvaluationConfig",
    "FlowConfig",
    "GateConfig",
    "LatentsConfig",
    "LimitsConfig",
    "LocalSource",
    "ModelConfig",
    "NetworksConfig",
    "OpenSoraPlanSource",
    "Precision",
    "Preset",
    "PresetError",
    "PretrainedBase",
    "PricesConfig",
    "RandomBase",
    "RetrainingConfig",
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
