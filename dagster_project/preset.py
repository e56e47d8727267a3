"""The preset as a resource: the same settings from the launchpad, a schedule and the shell."""

import json
import os
from typing import Any

import dagster as dg
from pydantic import Field

from exvideo.config import Preset, load_preset


class PresetResource(dg.ConfigurableResource):
    """Which preset the assets of a run follow, and what is set otherwise."""

    name: str = Field(
        default_factory=lambda: os.environ.get("EXVIDEO_PRESET", "tiny"),
        description="A shipped preset's name (tiny, svd_128f) or the path of a YAML file.",
    )
    overrides: dict[str, Any] = Field(
        default={}, description="Dotted keys and values, such as {'training.steps': 200}."
    )

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        # A wrong key is refused here, before the first step starts.
        self.load()

    def load(self) -> Preset:
        return load_preset(self.name, self.overrides)

    def arguments(self) -> list[str]:
        """The same preset as command line arguments of a stage's program."""
        settings = [f"{key}={json.dumps(value)}" for key, value in self.overrides.items()]
        return ["--preset", self.name, *(part for s in settings for part in ("--set", s))]


def preset_config(run: dg.DagsterRun) -> dict[str, Any]:
    """What a run's configuration sets of `PresetResource`: nothing where all is by default."""
    resources: Any = run.run_config.get("resources", {})
    return dict(resources.get("preset", {}).get("config", {}))
